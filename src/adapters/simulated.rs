//! Not written yet.
#[derive(Debug, Clone, Default, serde::Deserialize)] pub struct Script {}
