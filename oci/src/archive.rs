//! Images in archives.
