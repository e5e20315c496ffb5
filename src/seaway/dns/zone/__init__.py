"""The cluster's names. `rows`: what is kept of a Service, an EndpointSlice, a Namespace and a Pod, small; `store`: all rows,
and what a change makes void; `lookup`: a question to an `Answer`; `reverse`: from addresses to names. All pure.

Work follows the change: nothing is compiled before it is asked for, and a change names the *owners* whose answers end.
An owner is a key in bytes: a Service's two labels, `@` and an address, `/` and a namespace, `!` for the zone itself."""
