"""The embedded API server. A request passes, in order:

`door` (HTTP, TLS, who is it) -> `requests` (what is asked) -> `authz` (may they) -> `paths` (discovery, health) or `resources`
-> `reads`, or a verb (`create`, `update`, `delete`, `apply`) -> `admission` (defaults, allocation, validation: `schema`,
`metadata`, `rules/`) -> `storage` (one resourceVersion, watches) -> `journal` (SQLite, group commit). Answers leave through
`answers` (JSON, protobuf) and `tables/`.

- *tree*: an object as JSON data; *entry*: a stored object, encoded, with its resourceVersion; *event*: one change;
- *Status*: the API's form of an error (`status.ApiError`).
"""
