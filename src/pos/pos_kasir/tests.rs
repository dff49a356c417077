//! The connector against its simulator, in process.

mod named;
mod random;
mod sessions;
mod setbacks;
mod spoilt;
mod stored;
mod unlisted;
mod world;
