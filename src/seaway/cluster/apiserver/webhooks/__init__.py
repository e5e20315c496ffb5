"""Webhooks called: others' servers have a word in writes, and translate custom resources.

- `configured`: a `Hook` is one webhook of a configuration, as it is read; a `Client` is how its server is reached.
- `exchange`: AdmissionReviews written and read; a `Verdict` is what a webhook said.
- `calling`: a `Caller` sends a document to a Client and brings back the answer. The only file that opens connections.
- `admission`: the two reviewers, `Mutating` and `Validating`, that ask the webhooks in their order.
- `conversion`: ConversionReviews for the versions of custom resources.
"""
