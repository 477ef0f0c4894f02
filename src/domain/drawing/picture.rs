//! A picture as numbers, for those who draw it themselves: a page that shows states in it, and moves.

use std::collections::BTreeSet;

use serde::Serialize;

use super::implied;
use super::layout::{DENSE, Rect, layout};
use super::shape::Shape;
use super::svg::path;
use crate::domain::names::Wave;

/// How wide a letter is taken to be, and what stands beside a name: a sign for the state, and a margin.
const LETTER: f64 = 6.9;
const BESIDE: f64 = 36.0;
const WIDEST: f64 = 190.0;

/// Where services, waves and lines go, in pixels.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Picture {
    /// The width of all of it.
    pub width: f64,
    /// The height of all of it.
    pub height: f64,
    /// The waves, from left to right.
    pub panels: Vec<Panel>,
    /// The services, in the order of the shape.
    pub services: Vec<Spot>,
    /// What must be healthy before what.
    pub edges: Vec<Bow>,
    /// The chain that takes longest, first to last.
    pub critical_path: Vec<String>,
}

/// The part of a picture that is one wave.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Panel {
    /// Which; none for the shared part.
    pub wave: Option<Wave>,
    /// How many services are in it.
    pub services: usize,
    /// Its left edge.
    pub x: f64,
    /// Its upper edge.
    pub y: f64,
    /// Its width.
    pub width: f64,
    /// Its height.
    pub height: f64,
}

/// Where a service stands.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Spot {
    /// Its name, or `base`.
    pub name: String,
    /// Its wave; none for the shared part.
    pub wave: Option<Wave>,
    /// Its left edge.
    pub x: f64,
    /// Its upper edge.
    pub y: f64,
    /// Its width.
    pub width: f64,
    /// Its height.
    pub height: f64,
    /// Whether it is on the chain that takes longest.
    pub critical: bool,
    /// Whether it is on a ring of services that wait for each other.
    pub in_ring: bool,
}

/// A line from what must be healthy first to what waits for it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Bow {
    /// The service that waits.
    pub service: String,
    /// What must be healthy before it.
    pub depends_on: String,
    /// The line, as the `d` of an SVG path.
    pub path: String,
    /// Whether it is on the chain that takes longest.
    pub critical: bool,
    /// Whether it follows from others: what it needs is needed by something else that it needs.
    pub implied: bool,
    /// Whether it is part of a ring, or leads into an earlier wave.
    pub against: bool,
}

impl Picture {
    /// The picture of a shape. The same shape always gives the same picture.
    pub fn of(shape: &Shape) -> Self {
        let width = |service| (BESIDE + LETTER * shape.name(service).chars().count() as f64).min(WIDEST);
        let layout = layout(shape, &DENSE, width);
        let implied = implied(shape);
        let critical: BTreeSet<usize> = shape.critical().iter().copied().collect();
        let next: BTreeSet<(usize, usize)> =
            shape.critical().windows(2).map(|pair| (pair[1], pair[0])).collect();
        let round = |number: f64| (number * 10.0).round() / 10.0;
        let panels = layout.panels.iter().map(|panel| Panel {
            wave: panel.wave,
            services: panel.services,
            x: round(panel.area.x),
            y: round(panel.area.y),
            width: round(panel.area.width),
            height: round(panel.area.height),
        });
        let spot = |(service, area): (usize, &Rect)| Spot {
            name: shape.name(service).to_owned(),
            wave: shape.wave(service),
            x: round(area.x),
            y: round(area.y),
            width: round(area.width),
            height: round(area.height),
            critical: critical.contains(&service),
            in_ring: shape.is_tangled(service),
        };
        let bows =
            shape.edges().iter().zip(&layout.routes).zip(implied).map(|((edge, route), implied)| Bow {
                service: shape.name(edge.dependant).to_owned(),
                depends_on: shape.name(edge.dependency).to_owned(),
                path: path(route, DENSE.box_height),
                implied,
                critical: next.contains(&(edge.dependant, edge.dependency)),
                against: shape.is_tangled(edge.dependant) && shape.is_tangled(edge.dependency)
                    || shape.wave(edge.dependant) < shape.wave(edge.dependency),
            });
        Self {
            width: round(layout.width),
            height: round(layout.height),
            panels: panels.collect(),
            services: layout.boxes.iter().enumerate().map(spot).collect(),
            edges: bows.collect(),
            critical_path: shape.critical().iter().map(|&at| shape.name(at).to_owned()).collect(),
        }
    }

    /// The same with another chain as the one that takes longest: the one that did.
    #[must_use]
    pub fn with_critical_path(mut self, path: Vec<String>) -> Self {
        let on: BTreeSet<&str> = path.iter().map(String::as_str).collect();
        let next: BTreeSet<(&str, &str)> =
            path.windows(2).map(|pair| (pair[1].as_str(), pair[0].as_str())).collect();
        for spot in &mut self.services {
            spot.critical = on.contains(spot.name.as_str());
        }
        for bow in &mut self.edges {
            bow.critical = next.contains(&(bow.service.as_str(), bow.depends_on.as_str()));
        }
        self.critical_path = path;
        self
    }
}
