//! One target over another.

use super::{Attest, Cache, Secret, Ssh, Target};

impl Target {
    /// Puts another over this one: lists of what adds up add up, all else is as the other has it
    /// where it says something.
    pub(crate) fn merge(&mut self, other: &Target) {
        over(&mut self.context, &other.context);
        over(&mut self.dockerfile, &other.dockerfile);
        over(&mut self.dockerfile_inline, &other.dockerfile_inline);
        over(&mut self.target, &other.target);
        over(&mut self.call, &other.call);
        over(&mut self.tags, &other.tags);
        over(&mut self.platforms, &other.platforms);
        over(&mut self.cache_to, &other.cache_to);
        over(&mut self.outputs, &other.outputs);
        over(&mut self.pull, &other.pull);
        over(&mut self.no_cache, &other.no_cache);
        over(&mut self.network, &other.network);
        over(&mut self.shm_size, &other.shm_size);
        let maps = [
            (&mut self.args, &other.args),
            (&mut self.labels, &other.labels),
            (&mut self.extra_hosts, &other.extra_hosts),
        ];
        for (mine, theirs) in maps {
            let given = theirs.iter().filter(|(_, value)| value.is_some());
            mine.extend(given.map(|(key, value)| (key.clone(), value.clone())));
        }
        self.contexts.extend(other.contexts.clone());
        self.annotations.extend(other.annotations.iter().cloned());
        self.entitlements.extend(other.entitlements.iter().cloned());
        self.inherits.extend(other.inherits.iter().cloned());
        join(&mut self.no_cache_filter, other.no_cache_filter.as_ref());
        join(&mut self.ulimits, other.ulimits.as_ref());
        join(&mut self.attest, other.attest.as_ref());
        self.attest = self.attest.take().map(attests);
        join(&mut self.secrets, other.secrets.as_ref());
        self.secrets = self.secrets.take().map(secrets);
        join(&mut self.ssh, other.ssh.as_ref());
        self.ssh = self.ssh.take().map(agents);
        join(&mut self.cache_from, other.cache_from.as_ref());
        self.cache_from = self.cache_from.take().map(distinct::<Cache>);
        if !other.description.is_empty() {
            self.description.clone_from(&other.description);
        }
    }

    /// Each once, and nothing empty.
    pub(crate) fn normalize(&mut self) {
        let lists =
            [&mut self.tags, &mut self.platforms, &mut self.no_cache_filter, &mut self.ulimits];
        for list in lists.into_iter().flatten() {
            once(list);
        }
        once(&mut self.annotations);
        self.attest = self.attest.take().map(attests);
        self.secrets = self.secrets.take().map(secrets);
        self.ssh = self.ssh.take().map(agents);
        self.cache_from = self.cache_from.take().map(distinct);
        self.cache_to = self.cache_to.take().map(distinct);
        self.outputs = self.outputs.take().map(distinct);
        if self.network.as_deref() == Some("host") {
            self.entitlements.push("network.host".to_owned());
        }
        once(&mut self.entitlements);
        self.contexts.retain(|_, context| !context.is_empty());
    }
}

fn over<T: Clone>(mine: &mut Option<T>, theirs: &Option<T>) {
    if theirs.is_some() {
        mine.clone_from(theirs);
    }
}

fn join<T: Clone>(mine: &mut Option<Vec<T>>, theirs: Option<&Vec<T>>) {
    if let Some(theirs) = theirs {
        mine.get_or_insert_default().extend(theirs.iter().cloned());
    }
}

fn once(list: &mut Vec<String>) {
    let mut seen = std::collections::HashSet::new();
    list.retain(|text| !text.is_empty() && seen.insert(text.clone()));
}

fn attests(all: Vec<Attest>) -> Vec<Attest> {
    by_key(all, |attest| attest.kind.clone())
}

fn secrets(all: Vec<Secret>) -> Vec<Secret> {
    by_key(all, |secret| secret.id.clone())
}

fn agents(all: Vec<Ssh>) -> Vec<Ssh> {
    by_key(all, |ssh| ssh.id.clone())
}

/// Of those with one key the last, where the first stood.
pub(crate) fn by_key<T>(all: Vec<T>, key: impl Fn(&T) -> String) -> Vec<T> {
    let mut kept: Vec<T> = Vec::new();
    for one in all {
        match kept.iter_mut().find(|known| key(known) == key(&one)) {
            Some(known) => *known = one,
            None => kept.push(one),
        }
    }
    kept
}

/// Each once; what is there twice goes, and the last takes its place, as buildx orders them.
pub(crate) fn distinct<T: PartialEq>(mut all: Vec<T>) -> Vec<T> {
    for at in (0..all.len().saturating_sub(1)).rev() {
        let again = (at + 1..all.len()).find(|later| all[*later] == all[at]);
        if let Some(again) = again {
            all.swap_remove(again);
        }
    }
    all
}
