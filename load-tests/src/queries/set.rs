//! The questions: what people ask of traces. `clickhouse.py` asks the same, by the same names.

use super::samples::Samples;

/// One question.
#[derive(Clone, Debug)]
pub(super) struct Question {
    pub(super) name: &'static str,
    pub(super) path: String,
}

/// All of them.
pub(super) fn all(samples: &Samples) -> Vec<Question> {
    let Samples { trace, session, user, model, tag, common_word, rare_word, now, a_day_ago, .. } = samples;
    let Samples { seven_days_ago, all_days_ago, .. } = samples;
    let all = format!("start_date={all_days_ago}&end_date={now}");
    let week = format!("start_date={seven_days_ago}&end_date={now}");
    let day = format!("start_date={a_day_ago}&end_date={now}");
    let traces = |with: &str| format!("/v1/traces?limit=50&{all}{with}");
    let search = |range: &str, word: &str| format!("/v1/spans?limit=50&{range}&search={word}");
    [
        ("latest 50 traces", traces("")),
        ("traces by model", traces(&format!("&model={model}"))),
        ("traces by user", traces(&format!("&user_id={user}"))),
        ("traces by tag", traces(&format!("&tag={tag}"))),
        ("traces by metadata", traces("&metadata_key=plan&metadata_value=enterprise")),
        ("traces by score", traces("&filter=score__quality%3E0.9")),
        ("traces that failed", traces("&status=ERROR")),
        ("traces by cost", traces("&sort_by=cost")),
        ("trace by id", format!("/v1/traces/{trace}")),
        ("sessions", format!("/v1/sessions?limit=50&{all}")),
        ("one session", format!("/v1/sessions/{session}")),
        ("cost by model by hour, 7 days", format!("/v1/metrics?group_by=model&granularity=hour&{week}")),
        ("latency p95 by name", format!("/v1/metrics?group_by=name&{all}")),
        ("common word, a day", search(&day, common_word)),
        ("common word, all days", search(&all, common_word)),
        ("rare word, a day", search(&day, rare_word)),
        ("rare word, all days", search(&all, rare_word)),
        ("metadata keys", format!("/v1/metadata/keys?{all}")),
    ]
    .into_iter()
    .map(|(name, path)| Question { name, path })
    .collect()
}

/// The path of a question that looks at everything.
pub(super) fn heavy(samples: &Samples) -> String {
    format!("/v1/traces?limit=50&sort_by=latency&start_date={}&end_date={}", samples.all_days_ago, samples.now)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_question_has_a_name_of_its_own_that_the_other_engine_knows() {
        let word = || "word".to_owned();
        let samples = Samples {
            trace: word(),
            session: word(),
            user: word(),
            model: word(),
            tag: word(),
            common_word: "word",
            rare_word: word(),
            now: word(),
            a_day_ago: word(),
            seven_days_ago: word(),
            all_days_ago: word(),
        };
        let names: Vec<_> = all(&samples).into_iter().map(|question| question.name).collect();
        assert_eq!(names.iter().collect::<HashSet<_>>().len(), names.len());
        let other = include_str!("../../clickhouse.py");
        for name in names {
            assert!(other.contains(&format!("\"{name}\":")), "{name}");
        }
    }
}
