//! One request's work on an upload, up to where the next one goes on. What is not yet enough for a
//! part is held here while the request lasts, and written down at its end.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use bytes::{Bytes, BytesMut};
use object_store::multipart::MultipartStore;
use object_store::path::Path;
use object_store::{PutPayload, UpdateVersion};
use oci::Algorithm;

use super::super::{Shared, is_missing};
use super::Loaded;
use super::draft::{Draft, INLINE};
use super::recent::Turn;
use crate::progress::Progress;
use crate::{Error, Result};

/// The least size of a part but the last, in bytes, as S3 has it.
pub(super) const PART: usize = 5 << 20;
/// More than this is held of no upload, in bytes, as long as parts do not grow.
const HELD: usize = 2 * PART + (1 << 20);
/// After this many parts they grow: there are at most 10 000.
const GROW_AFTER: usize = 2000;
/// How often a request that writes parts says that it lives.
const HEARTBEAT: Duration = Duration::from_secs(1);

pub(super) struct Work {
    pub(super) shared: Arc<Shared>,
    pub(super) id: String,
    /// How far the upload was when it was last written down, and the version of that; of none if
    /// nothing has been written.
    pub(super) draft: Draft,
    pub(super) version: Option<UpdateVersion>,
    /// What stands behind its line.
    tail: Bytes,
    /// What is not yet in a part, unless it still is in an object of its own.
    pub(super) buffer: BytesMut,
    pub(super) away: bool,
    /// How much of that had been written down.
    kept: usize,
    pub(super) multipart: Option<String>,
    pub(super) parts: Vec<String>,
    /// How much is in parts, in bytes.
    pub(super) flushed: u64,
    /// Whether the parts have become an object.
    pub(super) complete: bool,
    /// How far it is by now; `None` if that is not known well enough to be written down.
    noted: Option<Progress>,
    /// How far the end of the next part is, once so much has come.
    mark: Option<Progress>,
    /// How far what is in parts is, if this request has written the last of them.
    in_parts: Option<Progress>,
    /// When others were last told that this request writes parts.
    pub(super) claimed: Option<Instant>,
    /// Whether what comes may stand behind what others have sent meanwhile.
    anywhere: bool,
    /// Whether the draft is remembered, and may be outdated.
    remembered: bool,
    /// Whether nothing has come since it was written down.
    pub(super) parked: bool,
    pub(super) ended: bool,
    _turn: Option<Turn>,
}

impl Work {
    /// On what one request brings whole.
    pub(super) fn alone(shared: Arc<Shared>) -> Work {
        let draft = Draft::new("", Algorithm::Sha256);
        Work {
            shared,
            id: crate::session::new_id(),
            draft,
            version: None,
            tail: Bytes::new(),
            buffer: BytesMut::new(),
            away: false,
            kept: 0,
            multipart: None,
            parts: Vec::new(),
            flushed: 0,
            complete: false,
            noted: None,
            mark: None,
            in_parts: None,
            claimed: None,
            anywhere: false,
            remembered: false,
            parked: false,
            ended: true,
            _turn: None,
        }
    }

    /// On an upload that was found.
    pub(super) fn found(shared: Arc<Shared>, id: &str, found: Loaded) -> Work {
        let mut work = Work { id: id.to_owned(), ..Work::alone(shared) };
        work.set_out_from(found);
        work
    }

    /// On an upload that goes on.
    pub(super) fn resume(
        shared: Arc<Shared>,
        id: &str,
        (found, remembered): (Loaded, bool),
        anywhere: bool,
        turn: Turn,
    ) -> Work {
        let work = Work::found(shared, id, found);
        Work { anywhere, remembered, ended: false, _turn: Some(turn), ..work }
    }

    fn set_out_from(&mut self, found: Loaded) {
        self.away = found.draft.tail.is_some();
        self.buffer = BytesMut::from(&found.tail[..]);
        self.kept = self.buffer.len();
        self.multipart = found.draft.multipart.clone();
        self.parts = found.draft.parts.clone();
        self.flushed = found.draft.flushed;
        (self.draft, self.version, self.tail) = (found.draft, Some(found.version), found.tail);
    }

    fn part(&self) -> usize {
        if self.parts.len() < GROW_AFTER { PART } else { PART * 10 }
    }

    pub(super) fn tail_key(&self) -> Option<Path> {
        Some(self.shared.keys.tail(&self.id, self.draft.tail.as_ref()?))
    }

    /// Fetches the bytes that are in an object of their own.
    pub(super) async fn fetch(&mut self) -> Result<()> {
        let Some(key) = self.tail_key().filter(|_| self.away) else { return Ok(()) };
        // Who has gone on with the upload since has removed them.
        let bytes = self.shared.small(&key).await?.ok_or(Error::Contended)?;
        if bytes.len() as u64 != self.draft.size.saturating_sub(self.flushed) {
            return Err(Error::Ended);
        }
        self.buffer = BytesMut::from(&bytes[..]);
        (self.away, self.kept) = (false, bytes.len());
        Ok(())
    }

    pub(super) async fn write(
        &mut self,
        offset: u64,
        batch: Vec<Bytes>,
    ) -> Result<Option<Progress>> {
        self.parked = false;
        let mut moved = self.make_sure().await?;
        let offset = moved.as_ref().map_or(offset, |moved| moved.size);
        self.fetch().await?;
        self.beat().await?;
        // A write that failed may have left more than was counted.
        let kept = offset.checked_sub(self.flushed).and_then(|kept| usize::try_from(kept).ok());
        self.buffer.truncate(kept.ok_or(Error::Contended)?);
        if self.buffer.len() > INLINE {
            // At once, so that it is not doubled to more than is needed.
            self.buffer.reserve(HELD.saturating_sub(self.buffer.len()));
        }
        for bytes in &batch {
            self.buffer.extend_from_slice(bytes);
        }
        if let Some(moved) = &mut moved {
            moved.take_all(&batch);
        }
        // What stands behind the mark is enough for the next part, or for the last bytes of the
        // request to be none that are too few for one.
        let marked = self.marked();
        if marked == 0 || self.buffer.len() < marked + self.part() {
            return Ok(moved);
        }
        let further = self.claim().await?;
        if further.is_none() {
            self.flush(marked).await?;
            self.in_parts = self.mark.take();
        }
        Ok(further.or(moved))
    }

    /// Looks whether last bytes are still there that were written down apart, if that is only
    /// remembered. Says how far the upload is if others have gone on with it.
    async fn make_sure(&mut self) -> Result<Option<Progress>> {
        if !self.away || !std::mem::take(&mut self.remembered) {
            return Ok(None);
        }
        let moved = self.refresh().await?;
        if moved.is_some() && !self.anywhere { Err(Error::Contended) } else { Ok(moved) }
    }

    /// How much of the buffer will be the next part.
    fn marked(&self) -> usize {
        let size = self.mark.as_ref().map(|mark| mark.size.saturating_sub(self.flushed));
        size.and_then(|size| usize::try_from(size).ok()).unwrap_or(0)
    }

    pub(super) fn note(&mut self, progress: &Progress) {
        self.noted = Some(progress.clone());
        if self.mark.is_none() && self.buffer.len() >= self.part() {
            self.mark = Some(progress.clone());
        }
    }

    pub(super) fn end(&mut self) {
        self.ended = true;
    }

    /// Sends the next `length` bytes as a part, by one who has claimed the upload.
    pub(super) async fn flush(&mut self, length: usize) -> Result<()> {
        let key = self.shared.keys.upload(&self.id);
        let id = self.multipart.clone().ok_or(Error::Ended)?;
        let bytes = self.buffer.split_to(length).freeze();
        let (length, payload) = (bytes.len() as u64, PutPayload::from(bytes.clone()));
        match self.shared.store.put_part(&key, &id, self.parts.len(), payload).await {
            Ok(part) => {
                self.parts.push(part.content_id);
                self.flushed += length;
                self.kept = 0;
                Ok(())
            }
            Err(e) => {
                let behind = std::mem::replace(&mut self.buffer, BytesMut::from(&bytes[..]));
                self.buffer.extend_from_slice(&behind);
                Err(self.failed("write", &key, e))
            }
        }
    }

    /// What a store lacks of an upload is lost with it.
    pub(super) fn failed(
        &self,
        operation: &'static str,
        key: &Path,
        e: object_store::Error,
    ) -> Error {
        if is_missing(&e) { Error::Ended } else { Error::bucket(operation, key, e) }
    }

    /// Says that parts are about to be written. If others have written since, what is here stands
    /// behind that; then it is said how far the whole is.
    pub(super) async fn claim(&mut self) -> Result<Option<Progress>> {
        let mut moved = None;
        while self.claimed.is_none() {
            let begun = match &self.multipart {
                Some(_) => None,
                None => Some(self.begin_parts().await?),
            };
            let multipart = self.multipart.clone().or(begun.clone());
            let draft = Draft { multipart, ..self.draft.clone() }.stamped(true);
            match self.save(&draft, &self.tail).await? {
                Some(version) => {
                    self.multipart.clone_from(&draft.multipart);
                    (self.draft, self.version) = (draft, Some(version));
                    self.claimed = Some(Instant::now());
                }
                None => {
                    if let Some(begun) = begun {
                        self.abort(&begun).await?;
                    }
                    moved = Some(self.stand_behind().await?);
                }
            }
        }
        Ok(moved)
    }

    async fn save(&self, draft: &Draft, tail: &[u8]) -> Result<Option<UpdateVersion>> {
        self.shared.save_draft(&self.id, draft, tail, self.version.as_ref()).await
    }

    async fn begin_parts(&self) -> Result<String> {
        let key = self.shared.keys.upload(&self.id);
        let begun = self.shared.store.create_multipart(&key).await;
        begun.map_err(|e| Error::bucket("begin", &key, e))
    }

    pub(super) async fn abort(&self, multipart: &String) -> Result<()> {
        let key = self.shared.keys.upload(&self.id);
        match self.shared.store.abort_multipart(&key, multipart).await {
            Err(e) if !is_missing(&e) => Err(Error::bucket("abort", &key, e)),
            _ => Ok(()),
        }
    }

    /// How far others could go on from what is here, without much being written that soon changes.
    fn told(&self) -> Option<(&Progress, Bytes)> {
        let noted = self.noted.as_ref()?;
        if noted.size == self.flushed + self.buffer.len() as u64 && self.buffer.len() <= INLINE {
            return Some((noted, Bytes::copy_from_slice(&self.buffer)));
        }
        let in_parts = self.in_parts.as_ref()?;
        (in_parts.size == self.flushed).then(|| (in_parts, Bytes::new()))
    }

    /// Says now and then that this request lives, and how far it is.
    async fn beat(&mut self) -> Result<()> {
        if self.claimed.is_none_or(|last| last.elapsed() < HEARTBEAT) {
            return Ok(());
        }
        let (draft, tail) = match self.told() {
            Some((progress, tail)) => {
                let (parts, flushed) = (self.parts.clone(), self.flushed);
                let draft = self.draft.clone().at(progress);
                (Draft { parts, flushed, tail: None, ..draft }, tail)
            }
            None => (self.draft.clone(), self.tail.clone()),
        };
        let (draft, before) = (draft.stamped(true), self.tail_key());
        let saved = self.save(&draft, &tail).await?;
        // Who was not heard of for too long finds the upload taken over.
        self.version = Some(saved.ok_or(Error::Contended)?);
        self.claimed = Some(Instant::now());
        (self.draft, self.tail) = (draft, tail);
        self.remove_tail(before).await
    }

    /// Removes an object of last bytes that the draft no longer names.
    async fn remove_tail(&self, before: Option<Path>) -> Result<()> {
        match before {
            Some(key) if self.tail_key().as_ref() != Some(&key) => self.shared.delete(&key).await,
            _ => Ok(()),
        }
    }

    /// Sets out from what others have made of the upload, with what has come here behind it.
    async fn stand_behind(&mut self) -> Result<Progress> {
        (self.noted, self.mark, self.in_parts) = (None, None, None);
        let ours = self.buffer.split_off(self.kept.min(self.buffer.len()));
        if !self.anywhere && !ours.is_empty() {
            return Err(Error::Contended);
        }
        let repository = self.draft.repository.clone();
        let found = self.shared.idle_draft(&repository, &self.id).await?.ok_or(Error::Ended)?;
        let mut progress = found.draft.progress().ok_or(Error::Ended)?;
        self.set_out_from(found);
        if !ours.is_empty() {
            self.fetch().await?;
            self.buffer.extend_from_slice(&ours);
            progress.take(&ours);
        }
        Ok(progress)
    }

    /// Writes down how far the upload is, for whoever goes on with it.
    pub(super) async fn park(&mut self) -> Result<Option<Progress>> {
        let further = self.claimed.is_some()
            || self.noted.as_ref().is_some_and(|noted| noted.size != self.draft.size);
        let Some(mut noted) = self.noted.clone().filter(|_| further && !self.ended) else {
            self.require_draft().await?;
            self.parked = true;
            return Ok(None);
        };
        let size = noted.size.checked_sub(self.flushed).and_then(|size| usize::try_from(size).ok());
        self.buffer.truncate(size.ok_or(Error::Contended)?);
        let mut moved = None;
        loop {
            if self.buffer.len() >= self.part() {
                if let Some(further) = self.claim().await? {
                    (noted, moved) = (further.clone(), Some(further));
                }
                self.flush(self.buffer.len()).await?;
            }
            if self.put_down(&noted).await? {
                self.parked = true;
                return Ok(moved);
            }
            if self.claimed.take().is_some() {
                return Err(Error::Contended);
            }
            let further = self.stand_behind().await?;
            (noted, moved) = (further.clone(), Some(further));
        }
    }

    /// Writes the draft of that; false if somebody else has written one.
    async fn put_down(&mut self, noted: &Progress) -> Result<bool> {
        let tail = (self.buffer.len() > INLINE).then(crate::session::new_id);
        if let Some(name) = &tail {
            let bytes = Bytes::copy_from_slice(&self.buffer);
            self.shared.put(&self.shared.keys.tail(&self.id, name), bytes).await?;
        }
        let draft = Draft {
            multipart: self.multipart.clone(),
            parts: self.parts.clone(),
            flushed: self.flushed,
            tail,
            ..self.draft.clone().at(noted)
        };
        let draft = draft.stamped(false);
        let inline = if draft.tail.is_some() { &[][..] } else { &self.buffer[..] };
        let inline = Bytes::copy_from_slice(inline);
        let Some(version) = self.save(&draft, &inline).await? else {
            if let Some(name) = &draft.tail {
                self.shared.delete(&self.shared.keys.tail(&self.id, name)).await?;
            }
            return Ok(false);
        };
        let before = self.tail_key();
        (self.claimed, self.noted, self.kept) = (None, Some(noted.clone()), self.buffer.len());
        (self.draft, self.version) = (draft.clone(), Some(version.clone()));
        self.tail.clone_from(&inline);
        let (tail, written) = (inline, SystemTime::now());
        self.shared.recent.keep(&self.id, Loaded { draft, version, tail, written });
        self.remove_tail(before).await?;
        Ok(true)
    }

    /// Sets out again if others have written to the upload since it was looked at.
    pub(super) async fn refresh(&mut self) -> Result<Option<Progress>> {
        let Some(version) = self.version.clone().filter(|_| self.claimed.is_none()) else {
            return Ok(None);
        };
        let repository = self.draft.repository.clone();
        let found = self.shared.draft_of(&repository, &self.id).await?.ok_or(Error::Ended)?;
        if found.version.e_tag == version.e_tag {
            return Ok(None);
        }
        self.stand_behind().await.map(Some)
    }
}
