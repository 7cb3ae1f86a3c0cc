//! Fixtures and test environments.
