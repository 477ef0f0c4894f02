//! Where everything of the picture goes: columns, boxes, and the lanes of long edges.
//!
//! Waves stand side by side; a wave in which services depend on each other gets a column for each step. An
//! edge that passes over columns takes a lane through each of them, and all edges from one service share
//! their lanes, so that they look like one line that branches. Order within columns is by barycentres, kept
//! where it has fewest crossings; heights are then as near to the neighbours' as the order allows.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use super::shape::{Line, Shape};
use crate::domain::names::Wave;

/// A column is at least wide enough for the heading of its wave.
const NARROWEST: f64 = 64.0;
const GAP_OF_A_LINE: f64 = 0.7;

/// How large everything is, in pixels.
pub(super) struct Measures {
    /// Height of a box.
    pub(super) box_height: f64,
    box_gap: f64,
    lane_gap: f64,
    /// Between two columns at least; more lines between them need more room to be told apart.
    gap: f64,
    widest_gap: f64,
    /// From a wave's boxes to the edge of its panel.
    padding: f64,
    margin: f64,
    /// Room above the middle of the topmost box, for title and headings.
    top: f64,
    /// Room under the boxes, for a legend.
    bottom: f64,
    /// A wave with longer chains inside it is drawn with these many columns; what does not fit is drawn as arcs.
    steps: usize,
}

/// A picture that stands alone, with room for everything.
pub(super) const ALONE: Measures = Measures {
    box_height: 36.0,
    box_gap: 13.0,
    lane_gap: 8.0,
    gap: 34.0,
    widest_gap: 76.0,
    padding: 14.0,
    margin: 28.0,
    top: 104.0,
    bottom: 64.0,
    steps: 12,
};

/// A picture on a page: each wave is one column, and as much as possible is seen at once.
pub(super) const DENSE: Measures = Measures {
    box_height: 28.0,
    box_gap: 6.0,
    lane_gap: 3.0,
    gap: 22.0,
    widest_gap: 46.0,
    padding: 8.0,
    margin: 8.0,
    top: 50.0,
    bottom: 8.0,
    steps: 1,
};
/// With more lanes than this the picture is of no use, so long edges then go straight.
const LANES: usize = 20_000;
const SWEEPS: usize = 24;

/// Where everything goes, in pixels.
pub(super) struct Layout {
    pub(super) width: f64,
    pub(super) height: f64,
    pub(super) panels: Vec<Panel>,
    /// By service.
    pub(super) boxes: Vec<Rect>,
    /// By edge.
    pub(super) routes: Vec<Route>,
}

/// The part of the picture that is one wave.
pub(super) struct Panel {
    pub(super) wave: Option<Wave>,
    pub(super) services: usize,
    pub(super) area: Rect,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Rect {
    pub(super) x: f64,
    pub(super) y: f64,
    pub(super) width: f64,
    pub(super) height: f64,
}

/// How an edge runs, from what comes first to what waits.
pub(super) enum Route {
    /// From left to right; between the ends pairs of points, where it enters and leaves a lane.
    Forward(Vec<(f64, f64)>),
    /// From the right side of a box to the right side of one in the same column.
    Beside((f64, f64), (f64, f64)),
    /// From the left side of a box to the right side of one further left.
    Back((f64, f64), (f64, f64)),
}

pub(super) fn layout(graph: &Shape, measures: &Measures, width_of: impl Fn(usize) -> f64) -> Layout {
    let &Measures { box_height, padding, margin, top, bottom, steps, .. } = measures;
    let (columns, column_of) = columns(graph, steps);
    let mut cells = Cells::new(graph, columns.len(), &column_of);
    cells.reduce_crossings();
    let heights = cells.heights(measures);

    let mut column_width = vec![NARROWEST; columns.len()];
    for service in 0..graph.len() {
        let width = &mut column_width[column_of[service]];
        *width = width.max(width_of(service));
    }
    let tallest = heights.iter().flatten().fold(0.0_f64, |tallest, &height| tallest.max(height));
    let (mut x, mut xs, mut panels) = (margin + padding, Vec::new(), Vec::<Panel>::new());
    for (at, &(wave, services)) in columns.iter().enumerate() {
        x += if at == 0 { 0.0 } else { cells.gap_before(at, measures) };
        match panels.last_mut() {
            Some(panel) if panel.wave == wave => {
                panel.area.width = x + column_width[at] + padding - panel.area.x;
                panel.services += services;
            }
            Some(_) | None => {
                x += if panels.is_empty() { 0.0 } else { 2.0 * padding };
                let area = Rect {
                    x: x - padding,
                    y: top - box_height / 2.0 - 32.0,
                    width: column_width[at] + 2.0 * padding,
                    height: tallest + box_height + 32.0 + padding,
                };
                panels.push(Panel { wave, services, area });
            }
        }
        xs.push(x);
        x += column_width[at];
    }

    let height_of = |column: usize, cell: Cell| {
        let place = cells.place(column, cell);
        place.map_or(0.0, |place| top + heights[column][place])
    };
    let boxes: Vec<Rect> = (0..graph.len())
        .map(|service| {
            let column = column_of[service];
            let middle = height_of(column, Cell::Service(service));
            Rect {
                x: xs[column],
                y: middle - box_height / 2.0,
                width: column_width[column],
                height: box_height,
            }
        })
        .collect();
    let middle = |service: usize| boxes[service].y + box_height / 2.0;
    let route = |edge: &Line| {
        let (from, to) = (edge.dependency, edge.dependant);
        let start = (boxes[from].x + boxes[from].width, middle(from));
        let end = (boxes[to].x, middle(to));
        match column_of[from].cmp(&column_of[to]) {
            Ordering::Less => {}
            Ordering::Equal => return Route::Beside(start, (boxes[to].x + boxes[to].width, middle(to))),
            Ordering::Greater => {
                return Route::Back(
                    (boxes[from].x, middle(from)),
                    (boxes[to].x + boxes[to].width, middle(to)),
                );
            }
        }
        let mut points = vec![start];
        for column in column_of[from] + 1..column_of[to] {
            if cells.place(column, Cell::Lane(from)).is_some() {
                let y = height_of(column, Cell::Lane(from));
                points.extend([(xs[column], y), (xs[column] + column_width[column], y)]);
            }
        }
        points.push(end);
        Route::Forward(points)
    };
    let routes = graph.edges().iter().map(route).collect();
    Layout {
        width: (x + padding + margin).max(420.0),
        height: top + tallest + box_height + bottom,
        panels,
        boxes,
        routes,
    }
}

/// The columns, each with its wave and how many services it holds, and the column of each service.
fn columns(graph: &Shape, steps: usize) -> (Vec<(Option<Wave>, usize)>, Vec<usize>) {
    let mut step: Vec<Option<usize>> = vec![None; graph.len()];
    for &service in graph.order() {
        let inside = graph.dependencies(service).filter(|&other| graph.wave(other) == graph.wave(service));
        // In a ring somebody must come first: what has no step yet is drawn as an arc.
        let below = inside.filter_map(|other| step[other]).max();
        step[service] = Some(below.map_or(0, |below| (below + 1).min(steps - 1)));
    }
    let key = |service: usize| (graph.wave(service), step[service].unwrap_or(0));
    let mut held: BTreeMap<(Option<Wave>, usize), usize> = BTreeMap::new();
    for service in 0..graph.len() {
        *held.entry(key(service)).or_default() += 1;
    }
    let place: BTreeMap<(Option<Wave>, usize), usize> =
        held.keys().enumerate().map(|(at, &key)| (key, at)).collect();
    let columns = held.iter().map(|(&(wave, _), &services)| (wave, services)).collect();
    (columns, (0..graph.len()).map(|service| place[&key(service)]).collect())
}

/// What stands in a column: a service, or the lane of all edges from one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Cell {
    Service(usize),
    Lane(usize),
}

impl Cell {
    fn gap(self, below: Self, measures: &Measures) -> f64 {
        let &Measures { box_height, box_gap, lane_gap, .. } = measures;
        match (self, below) {
            (Self::Service(_), Self::Service(_)) => box_height + box_gap,
            (Self::Service(_), Self::Lane(_)) | (Self::Lane(_), Self::Service(_)) => {
                box_height / 2.0 + lane_gap
            }
            (Self::Lane(_), Self::Lane(_)) => lane_gap,
        }
    }
}

struct Cells {
    /// From top to bottom.
    columns: Vec<Vec<Cell>>,
    places: Vec<BTreeMap<Cell, usize>>,
    /// By column: the lines between it and the next one.
    links: Vec<Vec<(Cell, Cell)>>,
}

impl Cells {
    fn new(graph: &Shape, columns: usize, column_of: &[usize]) -> Self {
        let furthest =
            |service: usize| graph.dependants(service).map(|next| column_of[next]).max().unwrap_or(0);
        let lanes = |service: usize| column_of[service] + 1..furthest(service);
        let with_lanes = (0..graph.len()).map(|service| lanes(service).len()).sum::<usize>() <= LANES;

        let mut cells =
            Self { columns: vec![Vec::new(); columns], places: Vec::new(), links: vec![Vec::new(); columns] };
        for &service in graph.order() {
            cells.columns[column_of[service]].push(Cell::Service(service));
        }
        for &service in graph.order() {
            let mut last = (column_of[service], Cell::Service(service));
            let mut cell_in = BTreeMap::from([last]);
            for column in lanes(service).filter(|_| with_lanes) {
                cells.columns[column].push(Cell::Lane(service));
                cells.links[last.0].push((last.1, Cell::Lane(service)));
                last = (column, Cell::Lane(service));
                cell_in.insert(last.0, last.1);
            }
            for next in graph.dependants(service) {
                let before = column_of[next].checked_sub(1);
                if let Some((column, cell)) = before.and_then(|column| Some((column, *cell_in.get(&column)?)))
                {
                    cells.links[column].push((cell, Cell::Service(next)));
                }
            }
        }
        cells.places = cells.columns.iter().map(|column| numbered(column)).collect();
        cells
    }

    fn place(&self, column: usize, cell: Cell) -> Option<usize> {
        self.places[column].get(&cell).copied()
    }

    /// How far a column must be from the one before it, for the lines between them.
    fn gap_before(&self, column: usize, measures: &Measures) -> f64 {
        let lines = column.checked_sub(1).map_or(0, |before| self.links[before].len());
        (measures.gap + GAP_OF_A_LINE * lines as f64).min(measures.widest_gap)
    }

    /// The lines of a column to its neighbour on one side, as places there, by the cell's place here.
    fn neighbours(&self, column: usize, left: bool) -> Vec<Vec<usize>> {
        let mut found = vec![Vec::new(); self.columns[column].len()];
        let links = match (left, column.checked_sub(1)) {
            (true, None) => return found,
            (true, Some(before)) => &self.links[before],
            (false, _) => &self.links[column],
        };
        for &(from, to) in links {
            let (here, there) = if left { (to, from) } else { (from, to) };
            let other = if left { column - 1 } else { column + 1 };
            if let (Some(here), Some(there)) = (self.place(column, here), self.place(other, there)) {
                found[here].push(there);
            }
        }
        found
    }

    /// Barycentre sweeps to and fro; the arrangement with the fewest crossings stays.
    fn reduce_crossings(&mut self) {
        let mut best = (self.crossings(), self.columns.clone());
        for sweep in 0..SWEEPS {
            let left = sweep % 2 == 0;
            let count = self.columns.len();
            for step in 1..count {
                self.sort_column(if left { step } else { count - 1 - step }, left);
            }
            let crossings = self.crossings();
            if crossings < best.0 {
                best = (crossings, self.columns.clone());
            }
        }
        self.columns = best.1;
        self.places = self.columns.iter().map(|column| numbered(column)).collect();
    }

    fn sort_column(&mut self, column: usize, left: bool) {
        let neighbours = self.neighbours(column, left);
        let own = self.columns[column].len().max(1) as f64;
        let other = if left { column - 1 } else { column + 1 };
        let scale = self.columns[other].len() as f64 / own;
        let centre = |place: usize| match neighbours[place].len() {
            0 => place as f64 * scale,
            count => neighbours[place].iter().sum::<usize>() as f64 / count as f64,
        };
        let mut sorted: Vec<(f64, usize)> = (0..neighbours.len()).map(|at| (centre(at), at)).collect();
        sorted.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        let cells: Vec<Cell> = sorted.into_iter().map(|(_, at)| self.columns[column][at]).collect();
        self.places[column] = numbered(&cells);
        self.columns[column] = cells;
    }

    fn crossings(&self) -> usize {
        (1..self.columns.len())
            .map(|column| {
                let mut ends: Vec<(usize, usize)> = Vec::new();
                for (to, from) in self.neighbours(column, true).into_iter().enumerate() {
                    ends.extend(from.into_iter().map(|from| (from, to)));
                }
                ends.sort_unstable();
                inversions(&ends, self.columns[column].len())
            })
            .sum()
    }

    /// The middle of each cell, the topmost being 0 or more.
    fn heights(&self, measures: &Measures) -> Vec<Vec<f64>> {
        let mut heights: Vec<Vec<f64>> =
            self.columns.iter().map(|column| settled(column, &vec![0.0; column.len()], measures)).collect();
        let tallest = heights.iter().filter_map(|column| column.last().copied()).fold(0.0, f64::max);
        for column in &mut heights {
            let spare = (tallest - column.last().copied().unwrap_or(0.0)) / 2.0;
            column.iter_mut().for_each(|height| *height += spare);
        }
        for sweep in 0..SWEEPS {
            let count = self.columns.len();
            for step in 0..count {
                let column = if sweep % 2 == 0 { step } else { count - 1 - step };
                let sides = [
                    (column.wrapping_sub(1), self.neighbours(column, true)),
                    (column + 1, self.neighbours(column, false)),
                ];
                let wanted = |place: usize| {
                    let both = sides.iter().flat_map(|(other, near)| {
                        near[place].iter().filter_map(|&at| heights.get(*other)?.get(at).copied())
                    });
                    let (sum, count) =
                        both.fold((0.0, 0.0), |(sum, count), height| (sum + height, count + 1.0));
                    // A little inertia keeps unconnected boxes where they are, and the sweeps from swinging.
                    (sum + 0.3 * heights[column][place]) / (count + 0.3)
                };
                let wanted: Vec<f64> = (0..self.columns[column].len()).map(wanted).collect();
                heights[column] = settled(&self.columns[column], &wanted, measures);
            }
        }
        let top = heights.iter().filter_map(|column| column.first().copied()).fold(f64::INFINITY, f64::min);
        heights.iter_mut().flatten().for_each(|height| *height -= top);
        heights
    }
}

fn numbered(cells: &[Cell]) -> BTreeMap<Cell, usize> {
    cells.iter().enumerate().map(|(at, &cell)| (cell, at)).collect()
}

/// Pairs, sorted, whose second parts are the wrong way round (Fenwick's tree).
fn inversions(ends: &[(usize, usize)], size: usize) -> usize {
    let mut tree = vec![0_usize; size + 1];
    let mut crossings = 0;
    for (seen, &(_, to)) in ends.iter().enumerate() {
        let (mut at, mut not_above) = (to + 1, 0);
        while at > 0 {
            not_above += tree[at];
            at &= at - 1;
        }
        crossings += seen - not_above;
        at = to + 1;
        while at <= size {
            tree[at] += 1;
            at += at & at.wrapping_neg();
        }
    }
    crossings
}

/// The heights that are nearest to the wanted ones (least squares) while the order and the gaps are kept:
/// with the gaps subtracted this is isotonic regression, done by pooling neighbours that are out of order.
fn settled(cells: &[Cell], wanted: &[f64], measures: &Measures) -> Vec<f64> {
    let mut offset = 0.0;
    let mut offsets = Vec::with_capacity(cells.len());
    for (at, &cell) in cells.iter().enumerate() {
        offset += if at == 0 { 0.0 } else { cells[at - 1].gap(cell, measures) };
        offsets.push(offset);
    }
    let mut pools: Vec<(f64, usize)> = Vec::new();
    for (&wanted, &offset) in wanted.iter().zip(&offsets) {
        let mut pool = (wanted - offset, 1);
        while let Some(&(mean, count)) = pools.last()
            && mean > pool.0
        {
            pools.pop();
            pool = ((mean * count as f64 + pool.0 * pool.1 as f64) / (count + pool.1) as f64, count + pool.1);
        }
        pools.push(pool);
    }
    let means = pools.iter().flat_map(|&(mean, count)| std::iter::repeat_n(mean, count));
    means.zip(offsets).map(|(mean, offset)| mean + offset).collect()
}
