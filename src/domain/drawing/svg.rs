//! The picture itself: one SVG without scripts or outside references, legible on light and dark grounds.

use std::collections::BTreeSet;

use super::layout::{ALONE, Layout, Rect, Route, layout};
use super::shape::Shape;
use super::{Stroke, critical_path, strokes, title, xml};
use crate::domain::graph::Graph;
use crate::domain::names::Wave;

/// Line and box colours of a wave, by its number.
const PALETTE: [(&str, &str); 8] = [
    ("#5b8db8", "#dcebf7"),
    ("#3f9e8c", "#d8f1ec"),
    ("#8f76c4", "#e8e1f6"),
    ("#b98a2f", "#f8ecd0"),
    ("#6b9a45", "#e3f1d7"),
    ("#b96a92", "#f7e0ec"),
    ("#7d8793", "#e6e9ed"),
    ("#4a93c9", "#dbeefa"),
];
const CRITICAL: &str = "#e8590c";
const AGAINST: &str = "#e03131";
const GREY: &str = "#7d8793";
/// A name longer than this takes two lines.
const LETTERS: usize = 13;
/// A line longer than this is cut short; the tooltip has all of it.
const LONGEST: usize = 22;

/// The graph as SVG: waves as columns, the longest chain highlighted, a tooltip on each box and line.
pub fn svg(graph: &Graph) -> String {
    let width = |service| {
        let longest = label(graph.name(service).as_str()).iter().map(|line| line.chars().count()).max();
        20.0 + 7.3 * longest.unwrap_or(0) as f64
    };
    let layout = layout(&Shape::of_graph(graph), &ALONE, width);
    let path = critical_path(graph);
    let mut text = head(graph, &layout, path.len());
    panels(&layout, &mut text);
    lines(graph, &layout, &mut text);
    boxes(graph, &layout, &path, &mut text);
    legend(graph, &layout, &mut text);
    text.push_str("</svg>\n");
    text
}

fn head(graph: &Graph, layout: &Layout, chain: usize) -> String {
    let (width, height) = (layout.width, layout.height);
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width:.0} {height:.0}\" width=\"{width:.0}\" \
         height=\"{height:.0}\" role=\"img\" font-family=\"ui-sans-serif, 'Segoe UI', Helvetica, Arial, \
         'DejaVu Sans', sans-serif\" font-size=\"12\">\n"
    );
    let name = xml(&title(graph));
    text.push_str(&format!("<title>{name}: in which order services become healthy</title>\n"));
    text.push_str(
        "<style>.e:hover path{stroke-width:4;opacity:1}.s:hover rect{stroke-width:3}</style>\n<defs>\n",
    );
    let mut colours: Vec<&str> = PALETTE.iter().map(|&(line, _)| line).collect();
    colours.extend([CRITICAL, AGAINST]);
    for colour in colours {
        text.push_str(&format!(
            "<marker id=\"a{}\" viewBox=\"0 0 8 8\" refX=\"7.5\" refY=\"4\" markerWidth=\"8\" markerHeight=\"8\" \
             markerUnits=\"userSpaceOnUse\" orient=\"auto\"><path d=\"M0 .5 8 4 0 7.5z\" fill=\"{colour}\"/></marker>\n",
            &colour[1..]
        ));
    }
    text.push_str("</defs>\n");
    let counts = format!(
        "{} services · {} dependencies · {} waves · longest chain {chain}",
        graph.len(),
        graph.edges().len(),
        layout.panels.len()
    );
    text.push_str(&format!(
        "<text x=\"28\" y=\"32\" font-size=\"18\" font-weight=\"600\" fill=\"{GREY}\">{name}\
         <tspan dx=\"14\" font-size=\"13\" font-weight=\"400\">{counts}</tspan></text>\n"
    ));
    text
}

fn panels(layout: &Layout, text: &mut String) {
    for panel in &layout.panels {
        let Rect { x, y, width, height } = panel.area;
        // Only the shared part is in no wave, and a graph has services alone.
        let wave = panel.wave.unwrap_or(Wave(0));
        let (line, _) = palette(wave);
        text.push_str(&format!(
            "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" rx=\"12\" \
             fill=\"{line}\" fill-opacity=\".09\"/>\n\
             <text x=\"{:.1}\" y=\"{:.1}\" font-size=\"13\" font-weight=\"600\" fill=\"{line}\">wave {}\
             <tspan dx=\"7\" font-size=\"11\" font-weight=\"400\">{}</tspan></text>\n",
            x + 16.0,
            y + 20.0,
            wave,
            panel.services,
        ));
    }
}

fn lines(graph: &Graph, layout: &Layout, text: &mut String) {
    let strokes = strokes(graph);
    let mut order: Vec<usize> = (0..strokes.len()).collect();
    order.sort_by_key(|&edge| (strokes[edge], edge));
    for at in order {
        let edge = &graph.edges()[at];
        let (line, _) = palette(graph.wave(edge.dependency));
        let (colour, style) = match strokes[at] {
            Stroke::Implied => (line, "stroke-width=\"1\" opacity=\".35\""),
            Stroke::Plain => (line, "stroke-width=\"1.4\" opacity=\".85\""),
            Stroke::Critical => (CRITICAL, "stroke-width=\"2.6\""),
            Stroke::Against => (AGAINST, "stroke-width=\"1.8\" stroke-dasharray=\"6 4\""),
        };
        text.push_str(&format!(
            "<g class=\"e\"><title>{} → {} ({})</title><path d=\"{}\" fill=\"none\" stroke=\"{colour}\" {style} \
             marker-end=\"url(#a{})\"/></g>\n",
            xml(graph.name(edge.dependency).as_str()),
            xml(graph.name(edge.dependant).as_str()),
            xml(&edge.place.to_string()),
            path(&layout.routes[at], ALONE.box_height),
            &colour[1..],
        ));
    }
}

pub(super) fn path(route: &Route, box_height: f64) -> String {
    match route {
        Route::Forward(points) => {
            let mut text = format!("M{:.1} {:.1}", points[0].0, points[0].1);
            for (at, pair) in points.windows(2).enumerate() {
                let ((x, y), (to_x, to_y)) = (pair[0], pair[1]);
                if at % 2 == 1 {
                    // Through a lane.
                    text.push_str(&format!("H{to_x:.1}"));
                } else {
                    let middle = (x + to_x) / 2.0;
                    text.push_str(&format!("C{middle:.1} {y:.1} {middle:.1} {to_y:.1} {to_x:.1} {to_y:.1}"));
                }
            }
            text
        }
        &Route::Beside((x, y), (to_x, to_y)) => {
            let out = x.max(to_x) + 22.0 + (y - to_y).abs().min(240.0) / 8.0;
            format!("M{x:.1} {y:.1}C{out:.1} {y:.1} {out:.1} {to_y:.1} {to_x:.1} {to_y:.1}")
        }
        &Route::Back((x, y), (to_x, to_y)) => {
            // A little lower than the middle, where the line in the other direction may run.
            let (y, to_y, middle) = (y + box_height / 4.0, to_y + box_height / 4.0, (x + to_x) / 2.0);
            format!("M{x:.1} {y:.1}C{middle:.1} {y:.1} {middle:.1} {to_y:.1} {to_x:.1} {to_y:.1}")
        }
    }
}

fn boxes(graph: &Graph, layout: &Layout, critical: &[usize], text: &mut String) {
    let critical: BTreeSet<usize> = critical.iter().copied().collect();
    let tangled: BTreeSet<usize> =
        graph.rings().iter().flat_map(|ring| ring.members.iter().copied()).collect();
    for (service, area) in layout.boxes.iter().enumerate() {
        let (line, fill) = palette(graph.wave(service));
        let (line, thick) = match (tangled.contains(&service), critical.contains(&service)) {
            (true, _) => (AGAINST, 2.0),
            (false, true) => (CRITICAL, 2.4),
            (false, false) => (line, 1.2),
        };
        let names = |services: &mut dyn Iterator<Item = usize>| {
            let names: Vec<&str> = services.map(|other| graph.name(other).as_str()).collect();
            if names.is_empty() { "nothing".to_owned() } else { names.join(", ") }
        };
        text.push_str(&format!(
            "<g class=\"s\"><title>{}, wave {}\nneeds {}\nneeded by {}</title><rect x=\"{:.1}\" y=\"{:.1}\" \
             width=\"{:.1}\" height=\"{:.1}\" rx=\"8\" fill=\"{fill}\" stroke=\"{line}\" stroke-width=\"{thick}\"/>",
            xml(graph.name(service).as_str()),
            graph.wave(service),
            xml(&names(&mut graph.dependencies(service))),
            xml(&names(&mut graph.dependants(service))),
            area.x,
            area.y,
            area.width,
            area.height,
        ));
        let lines = label(graph.name(service).as_str());
        let first = area.y + ALONE.box_height / 2.0 + 4.2 - 6.8 * (lines.len() - 1) as f64;
        for (at, line) in lines.iter().enumerate() {
            text.push_str(&format!(
                "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\" fill=\"#1c2430\">{}</text>",
                area.x + area.width / 2.0,
                first + 13.6 * at as f64,
                xml(line)
            ));
        }
        text.push_str("</g>\n");
    }
}

fn legend(graph: &Graph, layout: &Layout, text: &mut String) {
    let present: BTreeSet<Stroke> = strokes(graph).into_iter().collect();
    let y = layout.height - 24.0;
    let mut x = 28.0;
    let order = [Stroke::Plain, Stroke::Implied, Stroke::Critical, Stroke::Against];
    for stroke in order.into_iter().filter(|stroke| present.contains(stroke)) {
        let (colour, style, words) = match stroke {
            Stroke::Plain => (GREY, "stroke-width=\"1.4\"", "must be healthy before"),
            Stroke::Implied => (GREY, "stroke-width=\"1\" opacity=\".45\"", "follows from others"),
            Stroke::Critical => (CRITICAL, "stroke-width=\"2.6\"", "longest chain"),
            Stroke::Against => {
                (AGAINST, "stroke-width=\"1.8\" stroke-dasharray=\"6 4\"", "against the order")
            }
        };
        text.push_str(&format!(
            "<path d=\"M{x:.1} {y:.1}h30\" stroke=\"{colour}\" {style} marker-end=\"url(#a{})\"/>\
             <text x=\"{:.1}\" y=\"{:.1}\" font-size=\"11\" fill=\"{GREY}\">{words}</text>\n",
            &colour[1..],
            x + 38.0,
            y + 4.0
        ));
        x += 66.0 + 6.6 * words.len() as f64;
    }
}

fn palette(wave: Wave) -> (&'static str, &'static str) {
    PALETTE[wave.0 as usize % PALETTE.len()]
}

/// A name as one or two lines, parted at the hyphen that is nearest to its middle.
fn label(name: &str) -> Vec<String> {
    let short = |line: &str| match line.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line.to_owned(),
    };
    let hyphens = name.match_indices('-').map(|(at, _)| at + 1);
    let parting = hyphens.min_by_key(|at| at.abs_diff(name.len() - at)).filter(|_| name.len() > LETTERS);
    match parting {
        Some(at) => vec![short(&name[..at]), short(&name[at..])],
        None => vec![short(name)],
    }
}
