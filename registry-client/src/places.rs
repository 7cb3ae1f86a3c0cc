//! The hosts to ask for an image, one after the other.

use std::collections::VecDeque;
use std::sync::Arc;

use oci::{Digest, Reference};

use crate::Result;
use crate::client::Client;
use crate::error::Error;
use crate::host::Host;
use crate::routes::Place;

/// An image at a host.
pub(crate) struct Located {
    pub(crate) host: Arc<Host>,
    pub(crate) name: Reference,
}

/// Where an image can be read: mirrors first, its registry last.
pub(crate) struct Places {
    here: Located,
    more: VecDeque<Located>,
}

impl Places {
    /// The place to ask now.
    pub(crate) fn here(&self) -> &Located {
        &self.here
    }

    pub(crate) fn has_more(&self) -> bool {
        !self.more.is_empty()
    }

    /// Goes on to the next place, if there is one, because this one failed.
    pub(crate) fn go_on(&mut self, error: &Error) -> bool {
        if matches!(error, Error::Connection { connecting: true, .. } | Error::Idle { .. }) {
            self.here.host.set_absent();
        }
        if self.has_more() {
            tracing::debug!(%error, "asking the next place");
        }
        let had_more = self.has_more();
        self.next();
        had_more
    }

    /// Goes on to the next place, if there is one.
    pub(crate) fn next(&mut self) {
        if let Some(next) = self.more.pop_front() {
            self.here = next;
        }
    }
}

impl Client {
    /// Where an image can be read.
    pub(crate) fn places_to_read(&self, name: &Reference) -> Result<Places> {
        let route = self.transport.clients.config().routes.route(name)?;
        let mirrors = route.mirrors.into_iter().map(|mirror| self.located(mirror, true));
        let origin = self.located(route.origin, false);
        let mut all: VecDeque<Located> =
            mirrors.chain([origin]).collect::<Result<VecDeque<Located>>>()?;
        // A mirror that is down need not be waited for with each blob.
        all.retain(|place| !place.host.is_mirror || !place.host.is_absent());
        let here = all.pop_front().expect("the registry itself is never left out");
        Ok(Places { here, more: all })
    }

    /// Where a blob of an image can be read: whatever the image was asked for by, a blob is asked
    /// for by its digest.
    pub(crate) fn places_of_blob(&self, image: &Reference, blob: &Digest) -> Result<Places> {
        self.places_to_read(&image.with_digest(blob.clone()))
    }

    /// Where an image is written.
    pub(crate) fn place_to_write(&self, name: &Reference) -> Result<Located> {
        let route = self.transport.clients.config().routes.route(name)?;
        self.located(route.target, false)
    }

    /// Where lists about an image are read: mirrors may know a part of them.
    pub(crate) fn place_of_lists(&self, name: &Reference) -> Result<Located> {
        let route = self.transport.clients.config().routes.route(name)?;
        self.located(route.origin, false)
    }

    fn located(&self, place: Place, is_mirror: bool) -> Result<Located> {
        let host = self.host_as(place.name.registry(), place.host, is_mirror)?;
        Ok(Located { host, name: place.name })
    }
}
