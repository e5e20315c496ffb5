"""Go's regular expressions (RE2): what parses, what it says of what does not, and matching without backtracking blow-up.

- `syntax`: a pattern becomes a tree of `Chars`, `Cat`, `Alt`, `Repeat` and `Assert`, or a `SyntaxProblem` in Go's words.
- `charsets`: sets of characters as ranges: classes, Unicode groups, case folding.
- `machine`: a tree as an automaton whose states are made as they are met; time grows with the text only.
- `Regexp`: a pattern compiled; Python's engine matches where it can not blow up, the automaton where it could.
"""

from seaway.re2.regexp import Regexp, compiled, syntax_error

__all__ = ["Regexp", "compiled", "syntax_error"]
