# Two commands do all on a fresh Debian machine: `make demo` and `make test`. Both install what they need.
.PHONY: setup demo check test soak bench golden ebpf gatewayapi
PY := .venv/bin/python
export PATH := $(CURDIR)/.venv/bin:/usr/local/sbin:/usr/sbin:/sbin:$(PATH)

setup:
	@tools/setup

demo:
	@tools/setup
	@.venv/bin/seaway demo

check:
	@tools/setup dev
	$(PY) -m ruff check src tests tools bench
	$(PY) -m mypy
	$(PY) tools/features.py

test:
	@tools/setup dev
	$(PY) -m pytest tests -m "not soak"

soak:
	@tools/setup dev
	$(PY) -m pytest tests -m soak --timeout=900

# make bench PART=cluster
bench:
	@tools/setup dev
	$(PY) bench/$(PART).py

# Builds the socket programs of eBPF mode anew; the object is kept beside its source.
ebpf:
	clang -O2 -g0 -target bpf -Wall -Wextra -Werror -c src/seaway/proxy/ebpf/sockets.c -o src/seaway/proxy/ebpf/sockets.o

# Writes the Gateway API manifests of the embedded cluster anew, from src/seaway/api/gateway.
gatewayapi:
	$(PY) tools/gatewayapi.py

# Rewrites the golden files; a person reads the difference.
golden:
	@tools/setup dev
	GOLDEN=1 $(PY) -m pytest tests -q -k golden
