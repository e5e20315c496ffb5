"""Asking other servers. `health`: what is known of each upstream, and whom to ask next (pure); `exchange`: a question on its
way to one or more of them, hedged and in time; `datagrams` and `connections`: the sockets it goes by; `resolvconf` reads files
that name upstreams (pure)."""
