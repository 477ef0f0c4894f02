use proptest::prelude::*;

use super::*;
use crate::domain::catalog::{Limits, Order};
use crate::domain::graph::tests::catalog;

fn graph(text: &str) -> Graph {
    Graph::build(&catalog(text), Order::Waves, &Limits::default()).0
}

const SHOP: &str = "
    ingress 0
    postgres 1
    user-service 2 postgres
    payment-service 3 user-service postgres
    web-ui 4 payment-service ingress";

#[test]
fn graphviz_gets_waves_as_clusters() {
    insta::assert_snapshot!(dot(&graph(SHOP)), @r##"
    digraph "customer-a production" {
      // An arrow leads from what must be healthy first to what waits for it.
      rankdir=LR;
      node [shape=box, style=rounded, fontname="Helvetica"];
      edge [color="#8a94a3"];
      subgraph cluster_wave_0 {
        label="wave 0";
        "ingress";
      }
      subgraph cluster_wave_1 {
        label="wave 1";
        "postgres" [color="#e8590c", penwidth=2];
      }
      subgraph cluster_wave_2 {
        label="wave 2";
        "user-service" [color="#e8590c", penwidth=2];
      }
      subgraph cluster_wave_3 {
        label="wave 3";
        "payment-service" [color="#e8590c", penwidth=2];
      }
      subgraph cluster_wave_4 {
        label="wave 4";
        "web-ui" [color="#e8590c", penwidth=2];
      }
      "postgres" -> "user-service" [color="#e8590c", penwidth=2];
      "user-service" -> "payment-service" [color="#e8590c", penwidth=2];
      "postgres" -> "payment-service" [style=dotted];
      "payment-service" -> "web-ui" [color="#e8590c", penwidth=2];
      "ingress" -> "web-ui";
    }
    "##);
}

#[test]
fn mermaid_gets_waves_as_subgraphs() {
    insta::assert_snapshot!(mermaid(&graph(SHOP)), @r#"
    flowchart LR
      %% An arrow leads from what must be healthy first to what waits for it.
      subgraph wave0["wave 0"]
        s0["ingress"]
      end
      subgraph wave1["wave 1"]
        s1["postgres"]
      end
      subgraph wave2["wave 2"]
        s2["user-service"]
      end
      subgraph wave3["wave 3"]
        s3["payment-service"]
      end
      subgraph wave4["wave 4"]
        s4["web-ui"]
      end
      s1 --> s2
      s2 --> s3
      s1 -.-> s3
      s3 --> s4
      s0 --> s4
      linkStyle 0,1,3 stroke:#e8590c,stroke-width:3px
      classDef critical stroke:#e8590c,stroke-width:3px
      class s1,s2,s3,s4 critical
    "#);
}

#[test]
fn texts_are_escaped_as_each_language_wants() {
    assert_eq!(quoted(r#"a"b\"#), r#""a\"b\\""#);
    assert_eq!(entities("a\"b]-1;"), "a#34;b#93;-1#59;");
    assert_eq!(xml("<a href=\"x\">&"), "&lt;a href=&quot;x&quot;&gt;&amp;");
}

#[test]
fn an_edge_that_follows_from_others_is_told_from_the_rest() {
    let graph = graph("a 0\nb 1 a\nc 2 b a\nd 2 a\nx 1 y\ny 1 x\nz 1 w\nw 2");
    assert_eq!(
        strokes(&graph),
        [
            Stroke::Critical,
            Stroke::Critical,
            Stroke::Implied,
            Stroke::Plain,
            Stroke::Against,
            Stroke::Against,
            Stroke::Against
        ]
    );
}

#[test]
fn the_picture_names_every_service_and_dependency_and_is_always_the_same() {
    let shop = graph(SHOP);
    let picture = svg(&shop);
    assert_eq!(picture, svg(&graph(SHOP)));
    for service in 0..shop.len() {
        assert!(picture.contains(&format!("<g class=\"s\"><title>{}, wave", shop.name(service))));
    }
    assert_eq!(picture.matches("<g class=\"e\"><title>").count(), shop.edges().len());
    assert!(picture.contains("<title>payment-service → web-ui (values.yaml:5:10)</title>"));
    assert_eq!(picture.matches("longest chain").count(), 2);
    assert!(!picture.contains("against the order"));
    assert_eq!(picture.matches("<g").count(), picture.matches("</g>").count());
}

#[test]
fn a_ring_and_an_empty_file_can_be_drawn() {
    let picture = svg(&graph("a 0 b\nb 0 a\nc 1 d\nd 1 c e\ne 2"));
    assert_eq!(picture.matches("stroke-dasharray").count(), 6);
    assert!(svg(&graph("")).contains("0 services"));
    assert!(dot(&graph("")).ends_with("}\n"));
}

#[test]
fn the_largest_graph_that_limits_allow_is_drawn_in_bounded_work() {
    // 2,000 services over 10 waves, each with 25 dependencies, most of them in its own wave.
    let random = |at: usize, nth: usize| (at * 7919 + nth * 104_729 + at * nth) % at.max(1);
    let needs = |at: usize| (0..25.min(at)).map(|nth| format!(" s{}", random(at, nth))).collect::<String>();
    let text: String = (0..2000).map(|at| format!("s{at} {}{}\n", at / 200, needs(at))).collect();
    let graph = graph(&text);
    assert!(graph.edges().len() > 30_000, "{}", graph.edges().len());
    assert!(svg(&graph).ends_with("</svg>\n"));
}

#[test]
fn a_thousand_waves_with_long_edges_are_drawn_in_bounded_work() {
    let needs = |at: usize| (1..=25.min(at)).map(|nth| format!(" s{}", at - nth)).collect::<String>();
    let text: String = (0..2000).map(|at| format!("s{at} -{}\n", needs(at))).collect();
    let graph = graph(&text);
    assert_eq!(graph.waves().len(), 2000);
    assert!(svg(&graph).ends_with("</svg>\n"));
}

/// Services `s0..`, waves that never fall, and dependencies on services before them.
fn texts() -> impl Strategy<Value = String> {
    let services = prop::collection::vec((0_u32..3, prop::collection::vec(0_usize..1000, 0..4)), 1..40);
    services.prop_map(|services| {
        let mut wave = 0;
        let lines = services.into_iter().enumerate().map(|(at, (step, needs))| {
            wave += step / 2;
            let needs = needs.into_iter().filter(|_| at > 0).map(|on| format!(" s{}", on % at));
            format!("s{at} {wave}{}\n", needs.collect::<String>())
        });
        lines.collect()
    })
}

proptest! {
    #[test]
    fn boxes_never_overlap_and_lines_run_forward_around_them(text in texts()) {
        let graph = graph(&text);
        let layout = layout::layout(&Shape::of_graph(&graph), &layout::ALONE, |_| 80.0);
        for (at, one) in layout.boxes.iter().enumerate() {
            prop_assert!(one.x > 0.0 && one.y > 0.0);
            prop_assert!(one.x + one.width < layout.width && one.y + one.height < layout.height);
            for other in &layout.boxes[at + 1..] {
                let apart = one.x + one.width < other.x || other.x + other.width < one.x
                    || one.y + one.height < other.y || other.y + other.height < one.y;
                prop_assert!(apart, "{one:?} {other:?}");
            }
        }
        for route in &layout.routes {
            let layout::Route::Forward(points) = route else {
                return Err(TestCaseError::fail("a line does not run forward"));
            };
            prop_assert!(points.windows(2).all(|pair| pair[0].0 < pair[1].0));
            for lane in points[1..points.len() - 1].chunks(2) {
                let y = lane[0].1;
                let inside = layout.boxes.iter().filter(|one| one.x < lane[1].0 && lane[0].0 < one.x + one.width);
                prop_assert!(inside.into_iter().all(|one| y < one.y || one.y + one.height < y));
            }
        }
    }
}

#[test]
fn a_picture_for_a_page_has_one_column_for_each_wave_and_every_edge() {
    let picture = Picture::of(&Shape::of_graph(&graph(SHOP)));
    let waves: Vec<Option<u32>> = picture.panels.iter().map(|panel| panel.wave.map(|wave| wave.0)).collect();
    assert_eq!(waves, [Some(0), Some(1), Some(2), Some(3), Some(4)]);
    for spot in &picture.services {
        let panel = picture.panels.iter().find(|panel| panel.wave == spot.wave).unwrap();
        assert!(spot.x >= panel.x && spot.x + spot.width <= panel.x + panel.width, "{spot:?} {panel:?}");
        assert!(spot.y >= panel.y && spot.y + spot.height <= panel.y + panel.height, "{spot:?} {panel:?}");
    }
    let implied: Vec<(&str, &str)> = picture
        .edges
        .iter()
        .filter(|edge| edge.implied)
        .map(|edge| (edge.service.as_str(), edge.depends_on.as_str()))
        .collect();
    assert_eq!(implied, [("payment-service", "postgres")]);
    assert_eq!(picture.critical_path, ["postgres", "user-service", "payment-service", "web-ui"]);
}

#[test]
fn another_chain_can_be_the_one_that_took_longest() {
    let path = vec!["ingress".to_owned(), "web-ui".to_owned()];
    let picture = Picture::of(&Shape::of_graph(&graph(SHOP))).with_critical_path(path.clone());
    let on: Vec<&str> =
        picture.services.iter().filter(|spot| spot.critical).map(|spot| spot.name.as_str()).collect();
    assert_eq!(
        (on, picture.edges.iter().filter(|edge| edge.critical).count()),
        (vec!["ingress", "web-ui"], 1)
    );
    assert_eq!(picture.critical_path, path);
}

#[test]
fn services_on_a_ring_are_drawn_and_marked() {
    let picture = Picture::of(&Shape::of_graph(&graph("a 0 b\n b 0 a\n c 1 a")));
    let ring: Vec<&str> =
        picture.services.iter().filter(|spot| spot.in_ring).map(|spot| spot.name.as_str()).collect();
    assert_eq!(ring, ["a", "b"]);
    assert_eq!(picture.edges.iter().filter(|edge| edge.against).count(), 2);
}
