//! What is different between two plans of the same customer and environment.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Plan;
use crate::domain::names::Wave;

/// The difference between two plans.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct Diff {
    /// Services that are new.
    pub added: Vec<String>,
    /// Services that are gone.
    pub removed: Vec<String>,
    /// Services that change their wave.
    pub moved: Vec<MovedWave>,
    /// New edges: the dependant, and what it depends on.
    #[schema(value_type = Vec<Vec<String>>)]
    pub new_edges: Vec<(String, String)>,
    /// Edges that are gone.
    #[schema(value_type = Vec<Vec<String>>)]
    pub removed_edges: Vec<(String, String)>,
    /// What the newer plan syncs.
    pub touched: Vec<String>,
}

/// A service that changes its wave.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MovedWave {
    /// Which.
    pub service: String,
    /// Its wave before.
    #[schema(value_type = Option<u32>)]
    pub from: Option<Wave>,
    /// Its wave now.
    #[schema(value_type = Option<u32>)]
    pub to: Option<Wave>,
}

impl Plan {
    /// The edges between services, as pairs of names: the dependant and what it depends on.
    fn edges(&self) -> BTreeSet<(&str, &str)> {
        let changes = &self.changes;
        changes
            .iter()
            .flat_map(|change| {
                let required = change.requires.iter().map(|&required| &changes[required as usize]);
                required
                    .filter(|required| required.service.is_some())
                    .map(|required| (change.name(), required.name()))
            })
            .collect()
    }

    /// What is different from an earlier plan of the same customer and environment.
    pub fn diff(&self, before: &Self) -> Diff {
        let names = |plan: &Self| -> BTreeMap<String, Option<Wave>> {
            plan.changes.iter().map(|change| (change.name().to_owned(), change.wave)).collect()
        };
        let (old, new) = (names(before), names(self));
        let (old_edges, new_edges) = (before.edges(), self.edges());
        let pairs = |edges: Vec<&(&str, &str)>| -> Vec<(String, String)> {
            edges.into_iter().map(|(from, to)| ((*from).to_owned(), (*to).to_owned())).collect()
        };
        Diff {
            added: new.keys().filter(|name| !old.contains_key(*name)).cloned().collect(),
            removed: old.keys().filter(|name| !new.contains_key(*name)).cloned().collect(),
            moved: new
                .iter()
                .filter_map(|(name, to)| {
                    let from = old.get(name)?;
                    (from != to).then(|| MovedWave { service: name.clone(), from: *from, to: *to })
                })
                .collect(),
            new_edges: pairs(new_edges.difference(&old_edges).collect()),
            removed_edges: pairs(old_edges.difference(&new_edges).collect()),
            touched: self.touched().map(|change| change.name().to_owned()).collect(),
        }
    }
}
