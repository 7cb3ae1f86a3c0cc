//! Images changed without being unpacked: [`Edit`](crate::transfer::Edit)s of their manifests and
//! configs, for copies. What does not change keeps its bytes and is not sent again; the same edit
//! of the same image gives the same digest. [`Flatten`] alone unpacks it.

mod annotate;
mod append;
mod attest;
mod configure;
mod flatten;
mod image;
mod place;
mod rebase;
mod scratch;

pub use annotate::{Annotate, Annotations};
pub use append::{Append, NewLayer};
pub use attest::{Attest, Claim};
pub use configure::Configure;
pub use flatten::{Flatten, Together};
pub use place::{PlaceImages, PlatformChange};
pub use rebase::Rebase;
pub use scratch::ScratchOrigin;
