//! What a configuration means and what is said of a bad one.
