//! The adapter
