//! The word to stop, heard by threads and tasks alike: every wait ends at once when it is given.

use std::{
    sync::{Arc, Condvar, Mutex, PoisonError},
    time::Duration,
};

use tokio::sync::watch;

/// A handle on one word to stop; clones share it.
#[derive(Debug, Clone)]
pub struct Stop(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    given: Mutex<bool>,
    heard: Condvar,
    tasks: watch::Sender<bool>,
}

impl Default for Stop {
    fn default() -> Self {
        let inner = Inner { given: Mutex::new(false), heard: Condvar::new(), tasks: watch::Sender::new(false) };
        Self(Arc::new(inner))
    }
}

impl Stop {
    /// Gives the word. It cannot be taken back.
    pub fn give(&self) {
        *self.0.given.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.0.heard.notify_all();
        self.0.tasks.send_replace(true);
    }

    /// Whether the word was given.
    #[must_use]
    pub fn is_given(&self) -> bool {
        *self.0.given.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A thread's wait; tells whether the word was given meanwhile.
    #[must_use]
    pub fn wait(&self, span: Duration) -> bool {
        let given = self.0.given.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.0.heard.wait_timeout_while(given, span, |given| !*given);
        *waited.unwrap_or_else(PoisonError::into_inner).0
    }

    /// A task's wait for the word.
    pub async fn given(&self) {
        let mut tasks = self.0.tasks.subscribe();
        // The sender lives as long as this handle, so the wait cannot fail before the word is given.
        let _given = tasks.wait_for(|given| *given).await;
    }
}
