//! Pulls from and pushes to OCI registries, and never trusts them.
