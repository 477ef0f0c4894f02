//! What an answer of Prometheus says.
//!
//! Source: Prometheus' HTTP API, `GET /api/v1/query`. A query is a question of yes or no: whatever a comparison
//! leaves over (`... < 0.01`) is yes. An empty result is no data, and no data is no verdict. A scalar is what
//! a comparison with `bool` gives: 0 is no.

use serde::Deserialize;
use serde_json::Value;

use super::Outcome;

/// Characters of a foreign text that are shown.
const SHOWN: usize = 200;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    status: String,
    data: Option<Data>,
    error: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Data {
    result_type: String,
    result: Value,
}

/// What the body of an answer with this status says.
pub fn outcome(status: u16, body: &[u8]) -> Outcome {
    let silent = |reason: String| Outcome::Silent { reason };
    let Ok(answer) = serde_json::from_slice::<Answer>(body) else {
        return silent(format!("Prometheus answered {status} with something that is no answer to a query"));
    };
    if status != 200 || answer.status != "success" {
        let said = answer.error.unwrap_or_else(|| "no reason given".into());
        return silent(format!("Prometheus answered {status}: {}", plain(&said)));
    }
    let Some(data) = answer.data else { return silent("Prometheus answered without data".into()) };
    match data.result_type.as_str() {
        "vector" => {
            let samples = data.result.as_array().map(Vec::as_slice).unwrap_or_default();
            let counts = |sample: &&Value| number(&sample["value"]).is_some_and(|value| !value.is_nan());
            match samples.iter().find(counts) {
                Some(_) => Outcome::Passed,
                None => silent("the Prometheus query gave no data".into()),
            }
        }
        "scalar" => match number(&data.result) {
            Some(value) if value.is_nan() => silent("the Prometheus query gave no data".into()),
            Some(0.0) => Outcome::Failed { reason: "the Prometheus query gave 0".into() },
            Some(_) => Outcome::Passed,
            None => silent("Prometheus answered with a scalar that is no number".into()),
        },
        other => silent(format!("the Prometheus query gives a {}, not a vector or a scalar", plain(other))),
    }
}

/// The second of `[time, "value"]`.
fn number(pair: &Value) -> Option<f64> {
    let text = pair.get(1)?.as_str()?;
    match text {
        "+Inf" => Some(f64::INFINITY),
        "-Inf" => Some(f64::NEG_INFINITY),
        other => other.parse().ok(),
    }
}

/// A foreign text, short and on one line.
fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(SHOWN).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(status: u16, body: &str, expected: &str) {
        let told = match outcome(status, body.as_bytes()) {
            Outcome::Passed => "passed".to_owned(),
            Outcome::Failed { reason } => format!("failed: {reason}"),
            Outcome::Silent { reason } => format!("silent: {reason}"),
        };
        assert_eq!(told, expected, "{status} {body}");
    }

    #[test]
    fn only_data_passes_and_no_data_is_no_verdict() {
        let of = |kind: &str, result: &str| {
            format!(r#"{{"status":"success","data":{{"resultType":"{kind}","result":{result}}}}}"#)
        };
        let no_data = "silent: the Prometheus query gave no data";
        check(200, &of("vector", r#"[{"metric":{},"value":[1,"1"]}]"#), "passed");
        check(200, &of("vector", r#"[{"metric":{},"value":[1,"0"]}]"#), "passed");
        check(200, &of("vector", r#"[{"value":[1,"NaN"]},{"value":[1,"+Inf"]}]"#), "passed");
        check(200, &of("vector", r#"[{"value":[1,"NaN"]}]"#), no_data);
        check(200, &of("vector", "[]"), no_data);
        check(200, &of("vector", r#""""#), no_data);
        check(200, &of("scalar", r#"[1,"1"]"#), "passed");
        check(200, &of("scalar", r#"[1,"0"]"#), "failed: the Prometheus query gave 0");
        check(200, &of("scalar", r#"[1,"NaN"]"#), no_data);
        check(200, &of("scalar", "[]"), "silent: Prometheus answered with a scalar that is no number");
        check(
            200,
            &of("matrix", "[]"),
            "silent: the Prometheus query gives a matrix, not a vector or a scalar",
        );
        check(
            400,
            r#"{"status":"error","errorType":"bad_data","error":"parse\nerror"}"#,
            "silent: Prometheus answered 400: parse error",
        );
        check(200, r#"{"status":"error"}"#, "silent: Prometheus answered 200: no reason given");
        check(200, r#"{"status":"success"}"#, "silent: Prometheus answered without data");
        check(502, "<html>", "silent: Prometheus answered 502 with something that is no answer to a query");
        check(204, "", "silent: Prometheus answered 204 with something that is no answer to a query");
    }
}
