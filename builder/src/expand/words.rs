//! Splitting at white space while expanding.

/// The words so far.
#[derive(Debug, Default)]
pub(super) struct Words {
    done: Vec<String>,
    current: String,
}

impl Words {
    /// Adds text whose white space parts words.
    pub(super) fn push_split(&mut self, text: &str) {
        for c in text.chars() {
            if !c.is_whitespace() {
                self.current.push(c);
            } else if !self.current.is_empty() {
                self.done.push(std::mem::take(&mut self.current));
            }
        }
    }

    /// Adds text that stays in one word.
    pub(super) fn push_whole(&mut self, text: &str) {
        self.current.push_str(text);
    }

    /// All words; an empty one is none, though it was quoted.
    pub(super) fn finish(mut self) -> Vec<String> {
        if !self.current.is_empty() {
            self.done.push(self.current);
        }
        self.done
    }
}
