"""Limits that all proxies of a fleet share, counted in the controller.

**Bucket**: what one of those that a limit tells apart may still take. **Limit**: how large a bucket is and how it fills; it
comes with every question, so that nothing here has to be configured, and nothing is out of date. **Verdict**: the answer for
one bucket.
"""
