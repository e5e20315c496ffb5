"""From a query to an answer. `blocks`: the server blocks, ready for look-ups; `course`: what is asked of whom for a question,
plugin by plugin (pure, a generator of needs); `autopath`: the search path walked by the server; `engine`: queries in, replies
out, with the table of what is known between them."""
