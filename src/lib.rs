//! # baikal-sync
//!
//! Mirrors ICS feeds into CalDAV calendars, or into folders of .ics files: one invocation is one pass over the
//! subscriptions that are due. This page is the map; everything on it is held by tests or by types.
//!
//! ## Words
//!
//! A **feed** is the ICS document at a URL, in a file or on standard input. A **collection** is a calendar that can be
//! listed, read and written; a **home** is all that one user has of them on a server. A **subscription** mirrors a
//! **source** into a **target** under one name and one set of rules; these are its two **ends**, `a` and `b`. A **pass**
//! is one run over it. An **object** is
//! everything that shares one UID: master, overrides and the VTIMEZONEs they use. A **record** is what the state
//! remembers of an object. A **plan** is what a pass is going to do: **notes**, then **puts**, then **deletes**. The
//! **journal** holds what a pass is about to write until the outcome is recorded; **aside** is where the bodies go that
//! it overwrites or deletes. A **guard** stops deletions; a pass that it stopped is a **hold**, and an **approval** lets
//! through what is held at that moment. A **prefix** is how the names of a subscription's objects begin; it is
//! **claimed** when evidence gave it back after the state was lost. **Drift** is a target that differs from the records
//! though we did not write it. A write that failed is a **failure** until **blame** is laid: on the object, which is
//! then **refused**, or on the whole **end**, and then the pass failed. The **shape** is what the rules make of an
//! object before it is hashed.
//!
//! ## Layers
//!
//! Imports go downward only, and one outside crate is named in one file or folder only (`tests/it/tidy.rs`).
//!
//! ```text
//! shell      main  lib  cli  exit  commands/*      reads the clock, the environment, the arguments; prints; exits
//! conductor  sync/*                                one subscription, from the feed to the record
//! adapters   feed/*  collection/*                  two traits and their kinds
//! edges      http/*  db/*  config/*  signal  files       each the only one that names its crate
//! core       ics/*  auth/*  dav/*  plan/*  report/*      pure: no clock, no network, no disk, no environment, no chance
//! words      words/*  model/*
//! ```
//!
//! ## One pass
//!
//! ```text
//! gate 0  locked? a fault of this machine? backing off? not due?
//!                                                commands/{run,local,locks}, plan/backoff   -> say so, exit
//! gate 1  conditional GET answered 304           feed/web                -> unchanged
//! gate 2  the body has the recorded hash         sync/gates             -> unchanged
//! read    parse once; grammar, repairs, shape, hash
//!                                                ics/{split,repair,shape,hash}   -> Feed
//! gate 3  the objects have the recorded digest   sync/gates             -> unchanged
//! look    the target's lock; mark, then what changed, or everything; what must be read
//!                                                sync/{open,known,look,reading,gather} -> Remote
//! claim   whose are the prefixes that nobody has?
//!                                                sync/claim, plan/claim  -> ours, nobody's, or a hold
//! plan    feed x records x target                plan/{mirror,refused,guard}  -> Plan: notes, puts, deletes, perhaps a hold
//! act     put aside; creates and updates, then deletes
//!                                                sync/{mirror,aside,apply,execute}
//! blame   an object that failed, or the end?     plan/blame, sync/apply  -> refused, or a pass that failed
//! settle  ETags that are missing, writes that were only said, the next mark
//!                                                sync/settle
//! ```
//!
//! ## The states of a record
//!
//! A record is what the feed last had, where it stands with us, and what we left in the target (its *base*): a place, a
//! version, the hash of what was sent, and what stands there instead. A base cannot be missing where one must be:
//! [`model::Status`] has it in its variants. `-` is no record.
//!
//! ```text
//! -            -> mirrored refused occupied
//! mirrored     -> refused removed kept held undeletable -
//! refused      -> mirrored occupied kept held undeletable -
//! removed      -> mirrored refused -
//! occupied     -> mirrored refused -
//! kept         -> mirrored refused -
//! pinned       -> mirrored refused -
//! held         -> mirrored refused undeletable -
//! undeletable  -> mirrored refused -
//! ```
//!
//! **mirrored**: the feed's form is in the target. **refused**: it is not taken; an older form may be there, and is not
//! forgotten. **removed**: a person deleted it, and `on_drift = "keep"` leaves it so. **occupied**: its UID stands in an
//! object of somebody else. The last four left the feed: **kept** had ended (`deletes = "future"`), **pinned** was
//! brought back by a person (no command makes it yet), **held** waits for an approval, **undeletable** is refused by the
//! server. `tests/it/machine.rs` walks every arrow of this table and no
//! other; the state file has the same rules as constraints.
//!
//! ## What must stay true
//!
//! * Only `plan` decides about a write, also about one that is sent again or only to probe; `execute` obeys; every
//!   write carries a precondition.
//! * A prefix is made by chance. It is given back by evidence, decided before anything is written; what stands under
//!   it and is not in the feed is deleted only when a person says so.
//! * What is overwritten or deleted is put aside first.
//! * Deletes come last. An object that fails stops nothing but itself; what the whole end answers stops the pass.
//! * Whose fault a failure is shows in what else succeeds after it, never in a status.
//! * A file is migrated, repaired or replaced only when its first page proves that it is a state of ours.
//! * A pass says in its lock that it is at work, until it has ended: one that was killed is counted as a failure.
//! * What is not in the records, and does not bear our href, is never changed or deleted.
//! * A calendar is known by the address at which discovery found it, however the configuration writes it: its lock, and
//!   whose its objects are, go by that.
//! * A delta is believed only with an object of ours beside it that stands there as recorded.
//! * A mark vouches for what the state knows. A pass that learns whose objects are drops the last mark before it writes.
//! * Two places of a pass are locked in one order, both or none.
//! * Validators, body hash and mark are stored last, after everything that they stand for is on the target. From the
//!   first write of a pass until it settles no feed is remembered, and the journal has a row for each write.
//! * The state is a cache. Losing it costs a slower pass: what stands at our hrefs is read and compared.
//! * A secret is a type that cannot be printed; the address of a feed prints as its origin.
//!
//! ## What is not here, on purpose
//!
//! No daemon, no scheduler, no thread that outlives a run, no write without a precondition, no way to give a password
//! on the command line. Two directions will come over two collections: [`collection::Collection`] can be read as well
//! as written, nothing below `sync` knows which end it is, and what looks, reads, settles, writes and locks there works
//! on either.

mod auth;
mod cli;
pub mod collection;
mod commands;
pub mod config;
pub mod dav;
pub mod db;
mod exit;
pub mod feed;
mod files;
mod http;
pub mod ics;
pub mod model;
pub mod plan;
pub mod report;
pub mod signal;
pub mod sync;
pub mod words;

pub use commands::main;
