"""The Corefile: CoreDNS's configuration file, read into `Settings`.

A *token* is a word with its place. *Imports* and snippets are put in place of the lines that ask for them. A *server block* has
keys (zones, ports, transports) and directives; a *line* is a directive or one of its properties with its arguments. What a file
says of the world around it (other files, host names, interfaces, the environment) is asked through `Outside`. Everything here
but `disk` is pure.

The language is that of github.com/coredns/caddy (caddyfile), the plugins are those of CoreDNS 1.14 (plugin/*/setup.go).
"""

from seaway.dns.corefile.description import describe
from seaway.dns.corefile.problems import CorefileError
from seaway.dns.corefile.reading import read

__all__ = ["CorefileError", "describe", "read"]
