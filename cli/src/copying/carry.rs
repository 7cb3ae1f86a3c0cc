//! A copy as a command carries it out.

use oci::transfer::{Arrival, Copied, Copier, CopyOptions, Moment, Origin};

use super::ends::End;
use crate::app::App;
use crate::error::Failure;
use crate::ui::transfer::Transfer;

/// Copies, and shows how far it is.
pub(crate) fn carry(
    app: &App,
    origin: &dyn Origin,
    end: End<'_>,
    options: &CopyOptions,
    quiet: bool,
) -> Result<Copied, Failure> {
    let transfer = Transfer::new(app.transfers(quiet));
    let observer = |blob: &oci::Descriptor, moment| match moment {
        Moment::Moved(bytes) => transfer.moved(blob, bytes),
        Moment::Arrived(Arrival::Present) => transfer.ended(blob, "already there"),
        Moment::Arrived(Arrival::Mounted) => transfer.ended(blob, "mounted"),
        Moment::Arrived(Arrival::Taken) => transfer.ended(blob, "copied"),
        Moment::Arrived(Arrival::WithManifest) => {}
    };
    let destination = &*end.destination;
    let copied = Copier { origin, destination, options, observer: &observer }.copy()?;
    end.complete()?;
    Ok(copied)
}
