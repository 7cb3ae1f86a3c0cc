//! Runs a process on a snapshot: namespaces, mounts, capabilities, seccomp.
