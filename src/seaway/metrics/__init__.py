"""Metrics in Prometheus' form, for every process of Seaway.

- a `Family` is one metric with its labels: `Counter`, `Gauge` or `Histogram` (`families`). A family has at most so many
  label sets; what comes beyond is counted under `other`, so that no client's inventions fill the memory.
- a `Registry` holds a process's families and what is measured only when somebody looks (`families`).
- `exposition.render` writes a registry as text.
- `process` measures the process itself.
"""
