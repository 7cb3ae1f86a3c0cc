//! An OCI registry in a library: memory and directory storage.
