package main

import "context"

func serveWebhooks(ctx context.Context) error { return nil }
