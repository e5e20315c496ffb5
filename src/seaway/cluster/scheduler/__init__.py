"""The scheduler: `fit` says which nodes a pod fits and which is best (pure); `run` binds."""
