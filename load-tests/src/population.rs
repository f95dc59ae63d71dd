//! Who and what the traces are about: users, sessions, agents, models, tools. A few are busy, most are not.

use crate::random::{Draw, Zipf};

/// A model, as its provider names it.
#[derive(Clone, Copy)]
pub(crate) struct Model {
    pub(crate) provider: &'static str,
    pub(crate) requested: &'static str,
    pub(crate) answered: &'static str,
    pub(crate) host: &'static str,
}

/// Busiest first.
const MODELS: &[Model] = &[
    model("openai", "gpt-4o-mini", "gpt-4o-mini-2024-07-18", "api.openai.com"),
    model("anthropic", "claude-sonnet-4-5", "claude-sonnet-4-5-20250929", "api.anthropic.com"),
    model("openai", "gpt-4o", "gpt-4o-2024-08-06", "api.openai.com"),
    model("gcp.gemini", "gemini-2.5-flash", "gemini-2.5-flash", "generativelanguage.googleapis.com"),
    model("anthropic", "claude-haiku-4-5", "claude-haiku-4-5-20251001", "api.anthropic.com"),
    model("openai", "gpt-4.1", "gpt-4.1-2025-04-14", "api.openai.com"),
    model("mistral_ai", "mistral-large-latest", "mistral-large-2411", "api.mistral.ai"),
    model("aws.bedrock", "amazon.nova-pro-v1:0", "amazon.nova-pro-v1:0", "bedrock-runtime.eu-west-1.amazonaws.com"),
];

pub(crate) const AGENTS: &[&str] = &[
    "support-triage",
    "order-assistant",
    "research-agent",
    "code-reviewer",
    "travel-planner",
    "claims-handler",
    "contract-analyst",
    "sales-coach",
];

const TOOLS: &[(&str, &str)] = &[
    ("search_orders", "order_number"),
    ("get_customer", "customer_id"),
    ("send_email", "recipient"),
    ("query_database", "statement"),
    ("read_file", "path"),
    ("web_search", "query"),
    ("create_ticket", "title"),
    ("calculate_refund", "order_number"),
    ("get_weather", "city"),
    ("run_tests", "target"),
];

const KNOWLEDGE: &[&str] = &["policies", "product-manual", "tickets-archive", "engineering-wiki", "case-law"];

const TAGS: &[&str] =
    &["production", "beta", "web", "mobile", "priority", "experiment-7", "eu", "nightly", "vip", "fallback"];

const fn model(provider: &'static str, requested: &'static str, answered: &'static str, host: &'static str) -> Model {
    Model { provider, requested, answered, host }
}

/// Every session id is this and 16 hex digits, so that `batch` finds and renews it.
pub(crate) const SESSION_PREFIX: &str = "sess-";
const USERS: usize = 2_000;
/// Sessions that go on at one time; a new one takes the place of an old one.
const SESSIONS_OPEN: usize = 48;

/// A conversation of one user with one agent, over several traces.
#[derive(Clone)]
pub(crate) struct Session {
    pub(crate) id: String,
    pub(crate) user: String,
    pub(crate) agent: &'static str,
    pub(crate) agent_id: String,
    pub(crate) tags: Vec<&'static str>,
    pub(crate) plan: &'static str,
}

/// Draws the actors of each trace.
pub(crate) struct Population {
    users: Zipf,
    models: Zipf,
    agents: Zipf,
    tools: Zipf,
    open: Vec<Session>,
}

impl Population {
    pub(crate) fn new() -> Self {
        Self {
            users: Zipf::new(USERS),
            models: Zipf::new(MODELS.len()),
            agents: Zipf::new(AGENTS.len()),
            tools: Zipf::new(TOOLS.len()),
            open: Vec::with_capacity(SESSIONS_OPEN),
        }
    }

    /// The session that the next trace belongs to: on average one trace in four opens a new one.
    pub(crate) fn session(&mut self, draw: &mut Draw) -> Session {
        if !self.open.is_empty() && draw.chance(0.75) {
            let place = draw.between(0, self.open.len() as u64 - 1) as usize;
            return self.open[place].clone();
        }
        let session = self.new_session(draw);
        if self.open.len() < SESSIONS_OPEN {
            self.open.push(session.clone());
        } else {
            let place = draw.between(0, SESSIONS_OPEN as u64 - 1) as usize;
            self.open[place] = session.clone();
        }
        session
    }

    pub(crate) fn model(&self, draw: &mut Draw) -> Model {
        MODELS[self.models.rank(draw)]
    }

    /// A tool and the name of its argument.
    pub(crate) fn tool(&self, draw: &mut Draw) -> (&'static str, &'static str) {
        TOOLS[self.tools.rank(draw)]
    }

    pub(crate) fn knowledge(&self, draw: &mut Draw) -> &'static str {
        draw.pick(KNOWLEDGE)
    }

    fn new_session(&self, draw: &mut Draw) -> Session {
        let agent = self.agents.rank(draw);
        let mut tags = vec![draw.pick(TAGS), draw.pick(TAGS)];
        tags.dedup();
        Session {
            id: format!("{SESSION_PREFIX}{}", hex::encode(draw.id::<8>())),
            user: format!("user-{:04}", self.users.rank(draw)),
            agent: AGENTS[agent],
            agent_id: format!("asst_{agent:04}"),
            tags,
            plan: draw.pick(&["free", "free", "pro", "enterprise"]),
        }
    }
}
