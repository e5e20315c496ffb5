"""Keys, certificates and tokens. The only door to `cryptography`; time and lifetimes are passed in."""
