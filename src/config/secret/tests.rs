//! Secrets from files, commands and credentials.
