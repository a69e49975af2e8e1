//! Whole feeds: what counts, what is mended, what is refused.

mod corpus;
