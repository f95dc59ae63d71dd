//! The list prices, indexed by name.

use std::collections::HashMap;

use crate::entry::Entry;
use crate::file::{Cover, File};
use crate::name::{Name, key};

/// Entries, and who means which of them by what name.
#[derive(Debug, Default)]
pub(crate) struct List {
    pub(crate) version: String,
    entries: Vec<Entry>,
    files: Vec<FileIndex>,
    /// Names that need no provider.
    names: Names,
    providers: HashMap<String, Provider>,
}

/// What a name stands for; none when it is known to have no price here.
type Names = HashMap<String, Option<usize>>;

/// How one provider's names and prices are to be taken.
#[derive(Debug, Default)]
struct FileIndex {
    names: Names,
    everywhere: bool,
    sells_others: bool,
}

/// A word that names a provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Provider {
    /// On the user's own machines.
    Local,
    /// With a file in the book.
    Listed(usize),
    /// With prices of its own that the book does not hold.
    OtherSeller,
}

/// A book that cannot be read. The message names the place.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ListError {
    #[error("file {0}: {1}")]
    Syntax(usize, String),
    #[error("{0}: its times are not in order, or not times")]
    Time(String),
    #[error("`{0}` stands for two things")]
    Twice(String),
}

impl List {
    /// Reads a book: what is said once, and a text for each provider.
    pub(crate) fn read(cover: &str, texts: &[&str]) -> Result<Self, ListError> {
        let cover: Cover = toml::from_str(cover).map_err(|error| ListError::Syntax(0, error.to_string()))?;
        let mut list = Self { version: cover.version, ..Self::default() };
        list.name_providers(&cover.local, Provider::Local)?;
        list.name_providers(&cover.other_sellers, Provider::OtherSeller)?;
        for (place, text) in texts.iter().enumerate() {
            let file = toml::from_str(text).map_err(|error| ListError::Syntax(place + 1, error.to_string()))?;
            list.add(&file)?;
        }
        Ok(list)
    }

    fn add(&mut self, file: &File) -> Result<(), ListError> {
        let place = self.files.len();
        self.name_providers(std::slice::from_ref(&file.provider), Provider::Listed(place))?;
        self.name_providers(&file.names, Provider::Listed(place))?;
        let mut own = Names::new();
        for name in &file.unpriced {
            insert(&mut own, name, None)?;
            insert(&mut self.names, name, None)?;
        }
        for model in &file.models {
            let entry = Some(self.entries.len());
            self.entries.push(file.entry(model, place)?);
            for name in std::iter::once(&model.id).chain(&model.aliases) {
                insert(&mut own, name, entry)?;
                if !model.shared {
                    insert(&mut self.names, name, entry)?;
                }
            }
        }
        self.files.push(FileIndex { names: own, everywhere: file.everywhere, sells_others: file.sells_others });
        Ok(())
    }

    fn name_providers(&mut self, names: &[String], provider: Provider) -> Result<(), ListError> {
        for name in names {
            if self.providers.insert(name.to_ascii_lowercase(), provider).is_some() {
                return Err(ListError::Twice(name.clone()));
            }
        }
        Ok(())
    }

    /// Every entry.
    pub(crate) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// What this model is called by this provider; see the crate's documentation for the rule.
    pub(crate) fn find(&self, provider: Option<&str>, model: &str) -> Option<&Entry> {
        let name = Name::new(model)?;
        let mut named: Vec<Provider> = provider.and_then(|word| self.provider(word)).into_iter().collect();
        let knows = |word: &str| self.providers.contains_key(word);
        let readings = name.readings(knows, |word| named.extend(self.providers.get(word)));
        if named.contains(&Provider::Local) {
            return None;
        }
        // Behind someone who sells other people's models, a path names their makers: `openrouter/deepseek/deepseek-chat`.
        named.truncate(named.iter().position(|provider| self.sells_others(*provider)).map_or(named.len(), |at| at + 1));
        readings.into_iter().find_map(|reading| self.look_up(&named, name.key(reading))).flatten()
    }

    /// The provider a span means. SDKs add what was called behind a point: `openai.chat`.
    fn provider(&self, word: &str) -> Option<Provider> {
        let word = word.trim().to_ascii_lowercase();
        let first = || self.providers.get(word.split_once('.')?.0);
        self.providers.get(&word).or_else(first).copied()
    }

    /// The entry of exactly this name, else of it without its version; `Some(None)` when it has no price here.
    fn look_up(&self, named: &[Provider], key: &str) -> Option<Option<&Entry>> {
        std::iter::once(key).chain(Name::without_version(key)).find_map(|key| self.exactly(named, key))
    }

    fn exactly(&self, named: &[Provider], key: &str) -> Option<Option<&Entry>> {
        let listed = named.iter().filter_map(|provider| match provider {
            Provider::Listed(file) => self.files[*file].names.get(key),
            _ => None,
        });
        let found = listed.chain(self.names.get(key).filter(|found| self.holds_for(named, **found))).next()?;
        Some(found.map(|entry| &self.entries[entry]))
    }

    /// Whether a price that was found without a provider's help holds for who sells it.
    fn holds_for(&self, named: &[Provider], found: Option<usize>) -> bool {
        let Some(entry) = found.map(|entry| &self.entries[entry]) else { return true };
        let is_other = |provider: &&Provider| **provider != Provider::Listed(entry.file);
        self.files[entry.file].everywhere || !named.iter().filter(is_other).any(|other| self.sells_others(*other))
    }

    /// Whether this provider sells other people's models at prices of its own.
    fn sells_others(&self, provider: Provider) -> bool {
        match provider {
            Provider::OtherSeller => true,
            Provider::Listed(file) => self.files[file].sells_others,
            Provider::Local => false,
        }
    }
}

fn insert(names: &mut Names, name: &str, entry: Option<usize>) -> Result<(), ListError> {
    match names.insert(key(name), entry) {
        // Two spellings that are compared as one.
        Some(before) if before == entry => Ok(()),
        Some(_) => Err(ListError::Twice(name.to_owned())),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COVER: &str = r#"
        version = "test"
        local = ["ollama"]
        other_sellers = ["bazaar"]
    "#;
    const MAKER: &str = r#"
        provider = "maker"
        names = ["maker_cloud"]
        source = "https://maker.example"
        as_of = "2026-01-01"
        everywhere = true
        unpriced = ["m-1-preview-04-17"]
        [[models]]
        id = "m-1"
        aliases = ["m-one"]
        prices = { input = "1", output = "2" }
    "#;
    const HOST: &str = r#"
        provider = "host"
        source = "https://host.example"
        as_of = "2026-01-01"
        sells_others = true
        [[models]]
        id = "open-7b"
        shared = true
        prices = { input = "3", output = "3" }
        [[models]]
        id = "open-7b-hosted"
        prices = { input = "4", output = "4" }
    "#;

    fn list() -> List {
        List::read(COVER, &[MAKER, HOST]).unwrap()
    }

    fn found(provider: Option<&str>, model: &str) -> Option<String> {
        list().find(provider, model).map(|entry| entry.id().to_owned())
    }

    #[test]
    fn a_shared_name_needs_its_provider() {
        assert_eq!(found(None, "open-7b"), None);
        assert_eq!(found(Some("host"), "open-7b").as_deref(), Some("host/open-7b"));
        assert_eq!(found(None, "host/open-7b").as_deref(), Some("host/open-7b"), "the path names it as well");
        assert_eq!(found(Some("bazaar"), "open-7b"), None);
    }

    #[test]
    fn another_sellers_price_is_not_ours_unless_it_is_the_same_everywhere() {
        assert_eq!(found(Some("bazaar"), "open-7b-hosted"), None);
        assert_eq!(found(Some("bazaar"), "maker/m-1").as_deref(), Some("maker/m-1"));
        assert_eq!(found(Some("host"), "m-one").as_deref(), Some("maker/m-1"));
    }

    #[test]
    fn a_framework_or_an_address_is_no_provider() {
        for provider in ["langchain", "localhost:4000", "", "strands-agents", "10.0.0.1"] {
            assert_eq!(found(Some(provider), "m-1").as_deref(), Some("maker/m-1"), "{provider}");
        }
    }

    #[test]
    fn what_runs_at_home_has_no_price() {
        assert_eq!(found(Some("Ollama"), "m-1"), None);
        assert_eq!(found(None, "ollama/m-1"), None);
    }

    #[test]
    fn a_name_known_to_cost_something_else_is_not_taken_for_its_like() {
        assert_eq!(found(None, "m-1-preview-05-20").as_deref(), Some("maker/m-1"));
        assert_eq!(found(None, "m-1-preview-04-17"), None);
    }

    #[test]
    fn a_book_that_contradicts_itself_is_refused() {
        let twice = "\n[[models]]\nid = \"M_one\"\nprices = { input = \"1\" }";
        let error = List::read(COVER, &[&(MAKER.to_owned() + twice)]).unwrap_err();
        assert_eq!(error, ListError::Twice("M_one".to_owned()));
        let times = "\n[[models]]\nid = \"m-2\"\nprices = { input = \"1\" }\nearlier = [\
            { until = \"2026-02-01\", prices = { input = \"1\" } }, { until = \"2026-01-01\", prices = { input = \"2\" } }]";
        assert_eq!(
            List::read(COVER, &[&(MAKER.to_owned() + times)]).unwrap_err(),
            ListError::Time("maker/m-2".to_owned())
        );
        assert!(matches!(List::read(COVER, &["provider = 1"]), Err(ListError::Syntax(1, _))));
    }
}
