"""From a query to an answer; all pure. `blocks`: the server blocks, ready for look-ups; `plugins`: what hosts, rewrite, log and
errors decide; `course`: what is asked of whom for a question, plugin by plugin (a generator of needs); `engine`: queries in,
replies out, with the table of what is known between them; `counting`: what is counted of that."""
