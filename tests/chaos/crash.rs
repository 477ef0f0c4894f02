//! What a killed server left on the disk, looked at without touching it.

use std::collections::BTreeSet;

use anyhow::{Context, ensure};
use argocd_orchestrator::store::{Settings, Store};

use crate::world::World;

/// A copy of a dead server's database. The original is left as it is: what is not in the database file yet is
/// for the next server to recover.
pub(crate) struct Site {
    store: Option<Store>,
}

impl Site {
    /// Copies what is there.
    pub(crate) async fn of(world: &World) -> anyhow::Result<Self> {
        if !world.database().exists() {
            return Ok(Self { store: None });
        }
        if world.copy.exists() {
            std::fs::remove_dir_all(&world.copy)?;
        }
        std::fs::create_dir_all(&world.copy)?;
        for name in ["orchestrator.db", "orchestrator.db-wal"] {
            let from = world.data.join(name);
            if from.exists() {
                std::fs::copy(&from, world.copy.join(name))?;
            }
        }
        let settings = Settings { readers: 1, ..Settings::at(world.copy.join("orchestrator.db")) };
        let store =
            Store::open(settings).await.context("the database of a killed server cannot be opened")?;
        Ok(Self { store: Some(store) })
    }

    /// How many deployments were not over.
    pub(crate) async fn unfinished(&self) -> anyhow::Result<usize> {
        match &self.store {
            Some(store) => Ok(store.unfinished_keys().await?.len()),
            None => Ok(0),
        }
    }

    /// How many effects were decided on and not yet known to be performed.
    pub(crate) async fn open_effects(&self) -> anyhow::Result<usize> {
        let Some(store) = &self.store else { return Ok(0) };
        let mut open = 0;
        for (id, _, _) in store.unfinished_keys().await? {
            open += store.pending_effects(&id).await?.value.len();
        }
        Ok(open)
    }

    /// Every event that was answered OK has to be there.
    pub(crate) async fn has(&self, promised: &BTreeSet<String>) -> anyhow::Result<()> {
        for id in promised {
            let found = match &self.store {
                Some(store) => store.event(&id.parse()?).await?.is_some(),
                None => false,
            };
            ensure!(found, "event {id} was answered OK and was lost by a kill");
        }
        Ok(())
    }

    /// Lets go of it.
    pub(crate) async fn leave(self) {
        if let Some(store) = self.store {
            store.close().await;
        }
    }
}
