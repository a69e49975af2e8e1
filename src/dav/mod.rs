//! The protocol: each verb is a value that builds a request and reads a response, and sends nothing.

pub mod auth;
