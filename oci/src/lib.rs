//! The words of the field: digests, descriptors, references, manifests, configs, blobs.
