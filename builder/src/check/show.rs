//! Findings and answers as text and as JSON, in the form of docker's.

pub mod json;
pub mod tables;
pub mod text;
