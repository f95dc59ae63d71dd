//! Tokens times prices, each token once.

use spanlake_model::{Cost, Money, Usage};

use crate::class::{Class, Prices};

/// Counts beside the usual ones, such as `("audio_input", 900)`: parts of what was read or written. See [`Class::of_extra`].
pub type Extra<'a> = &'a [(&'a str, i64)];

/// Tokens of a call as they can be priced: none when unknown, never negative.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tokens {
    pub(crate) input: Option<i64>,
    pub(crate) output: Option<i64>,
}

impl Tokens {
    /// As reported; what is missing or negative follows from the total where that is known.
    pub(crate) fn of(usage: &Usage) -> Self {
        let [input, output, total] = [usage.input, usage.output, usage.total].map(known);
        let rest = |other: Option<i64>| known(Some(total?.checked_sub(other?)?));
        Self { input: input.or_else(|| rest(output)), output: output.or_else(|| rest(input)) }
    }
}

/// What the call costs at these prices: for what was read, for what was written, and in all. A side of which the tokens or the
/// price are unknown has no cost, and then neither has the whole, unless nothing is ever paid for that side (an embedding has
/// no output). None when nothing can be said.
pub(crate) fn cost(prices: &Prices, usage: &Usage, extra: Extra<'_>) -> Option<Cost> {
    let tokens = Tokens::of(usage);
    let input = tokens.input.and_then(|tokens| side(prices, Class::Input, tokens, &input_parts(usage, extra)));
    let output =
        tokens.output.and_then(|tokens| side(prices, Class::Output, tokens, &output_parts(prices, usage, extra)));
    let total = match (input, output) {
        (Some(input), Some(output)) => keepable(input.as_pico() + output.as_pico()),
        (Some(input), None) if tokens.output.is_none() && prices.get(Class::Output).is_none() => Some(input),
        _ => None,
    };
    (input.is_some() || output.is_some()).then_some(Cost { input, output, total })
}

/// Parts of what was read, in the order in which they are believed when they exceed it.
fn input_parts(usage: &Usage, extra: Extra<'_>) -> [(Class, i64); 5] {
    let written = known(usage.cache_write).unwrap_or(0);
    let hourly = extra_count(extra, Class::CacheWrite1h).min(written);
    [
        (Class::CacheRead, known(usage.cache_read).unwrap_or(0)),
        (Class::CacheWrite1h, hourly),
        (Class::CacheWrite, written - hourly),
        (Class::AudioInput, extra_count(extra, Class::AudioInput)),
        (Class::ImageInput, extra_count(extra, Class::ImageInput)),
    ]
}

/// Parts of what was written. Thinking is one only where it has a price of its own.
fn output_parts(prices: &Prices, usage: &Usage, extra: Extra<'_>) -> [(Class, i64); 3] {
    let reasoning = usage.reasoning.filter(|_| prices.get(Class::Reasoning).is_some());
    [
        (Class::Reasoning, known(reasoning).unwrap_or(0)),
        (Class::AudioOutput, extra_count(extra, Class::AudioOutput)),
        (Class::ImageOutput, extra_count(extra, Class::ImageOutput)),
    ]
}

/// Pays for the parts, and for what they leave of `tokens` at the price of `rest`. The parts never exceed the whole: what is
/// too much of the later ones is not paid for. None without a price, or above what [`Money`] keeps.
fn side(prices: &Prices, rest: Class, tokens: i64, parts: &[(Class, i64)]) -> Option<Money> {
    let mut left = tokens;
    let mut femto = 0;
    for (class, count) in parts {
        let count = (*count).min(left);
        left -= count;
        femto += price(prices, *class, count)?;
    }
    femto += price(prices, rest, left)?;
    // The only rounding there is: to the nearest 10⁻¹² dollars, a half goes up.
    keepable((femto + 500) / 1_000)
}

/// In units of 10⁻¹⁵ dollars. The highest price times every token there can be is far below what an `i128` holds.
fn price(prices: &Prices, class: Class, count: i64) -> Option<i128> {
    if count == 0 {
        return Some(0);
    }
    Some(prices.rate(class)?.per_token_femto() * i128::from(count))
}

/// None for more than a column of money holds.
fn keepable(pico: i128) -> Option<Money> {
    (pico < 10_i128.pow(u32::from(Money::PRECISION))).then_some(Money::from_pico(pico))
}

fn extra_count(extra: Extra<'_>, class: Class) -> i64 {
    let of_class = extra.iter().find(|(name, _)| Class::of_extra(name) == Some(class));
    of_class.and_then(|(_, count)| known(Some(*count))).unwrap_or(0)
}

/// A negative count is no count.
fn known(count: Option<i64>) -> Option<i64> {
    count.filter(|count| *count >= 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rate::Rate;

    fn prices(given: &[(Class, &str)]) -> Prices {
        given.iter().fold(Prices::default(), |prices, (class, text)| prices.with(*class, Rate::parse(text).unwrap()))
    }

    fn claude() -> Prices {
        prices(&[
            (Class::Input, "3"),
            (Class::CacheRead, "0.3"),
            (Class::CacheWrite, "3.75"),
            (Class::CacheWrite1h, "6"),
            (Class::Output, "15"),
        ])
    }

    fn usage(input: i64, output: i64) -> Usage {
        Usage { input: Some(input), output: Some(output), ..Usage::default() }
    }

    fn dollars(money: Option<Money>) -> String {
        money.unwrap().to_string()
    }

    #[test]
    fn every_token_is_paid_for_once() {
        let usage = Usage { cache_read: Some(1_000_000), cache_write: Some(500_000), ..usage(2_000_000, 100_000) };
        let cost = cost(&claude(), &usage, &[]).unwrap();
        // 0.5 M at 3, 1 M at 0.30, 0.5 M at 3.75.
        assert_eq!(dollars(cost.input), "3.675000000000");
        assert_eq!(dollars(cost.output), "1.500000000000");
        assert_eq!(dollars(cost.total), "5.175000000000");
    }

    #[test]
    fn an_hour_in_the_cache_is_part_of_what_was_written() {
        let usage = Usage { cache_write: Some(300_000), ..usage(300_000, 0) };
        let hourly = [("ephemeral_1h_input_tokens", 100_000)];
        assert_eq!(dollars(cost(&claude(), &usage, &hourly).unwrap().input), "1.350000000000");
        let beyond = [("cache_write_1h", i64::MAX)];
        assert_eq!(dollars(cost(&claude(), &usage, &beyond).unwrap().input), "1.800000000000");
    }

    #[test]
    fn thinking_is_inside_the_output_unless_priced_apart() {
        let usage = Usage { reasoning: Some(600_000), ..usage(0, 1_000_000) };
        assert_eq!(dollars(cost(&claude(), &usage, &[]).unwrap().output), "15.000000000000");
        let apart = prices(&[(Class::Input, "2"), (Class::Output, "8"), (Class::Reasoning, "3")]);
        assert_eq!(dollars(cost(&apart, &usage, &[]).unwrap().output), "5.000000000000");
    }

    #[test]
    fn sound_has_its_own_price() {
        let prices = prices(&[(Class::Input, "1"), (Class::AudioInput, "10"), (Class::Output, "2")]);
        let cost = cost(&prices, &usage(1_000_000, 0), &[("input_audio_tokens", 400_000), ("text", 5)]).unwrap();
        assert_eq!(dollars(cost.input), "4.600000000000");
    }

    #[test]
    fn what_is_unknown_costs_an_unknown_amount() {
        assert_eq!(cost(&claude(), &Usage::default(), &[]), None);
        let half = cost(&claude(), &Usage { input: Some(10), ..Usage::default() }, &[]).unwrap();
        assert_eq!((half.input.is_some(), half.output, half.total), (true, None, None));
        let negative = Usage { input: Some(-1), output: Some(5), ..Usage::default() };
        assert_eq!(cost(&claude(), &negative, &[]).unwrap().input, None);
    }

    #[test]
    fn a_total_tells_what_is_missing() {
        let told = Usage { input: Some(10), total: Some(12), ..Usage::default() };
        assert_eq!(Tokens::of(&told), Tokens { input: Some(10), output: Some(2) });
        let wrong = Usage { input: Some(10), total: Some(3), ..Usage::default() };
        assert_eq!(Tokens::of(&wrong).output, None);
    }

    #[test]
    fn an_embedding_has_no_output_to_pay_for() {
        let prices = prices(&[(Class::Input, "0.02")]);
        let cost_of = |usage: Usage| cost(&prices, &usage, &[]).unwrap();
        assert_eq!(dollars(cost_of(Usage { input: Some(8), ..Usage::default() }).total), "0.000000160000");
        assert_eq!(dollars(cost_of(usage(8, 0)).total), "0.000000160000");
        assert_eq!(cost_of(usage(8, 1)).total, None, "output without a price");
    }

    #[test]
    fn parts_beyond_the_whole_are_cut_and_never_owed() {
        let usage = Usage { cache_read: Some(900), cache_write: Some(i64::MAX), ..usage(1_000, 0) };
        assert_eq!(dollars(cost(&claude(), &usage, &[]).unwrap().input), "0.000645000000");
    }

    #[test]
    fn money_is_rounded_once_and_half_goes_up() {
        let prices = prices(&[(Class::Input, "0.000000001"), (Class::CacheRead, "0.000000001")]);
        let pico = |input| cost(&prices, &usage(input, 0), &[]).unwrap().input.unwrap().as_pico();
        assert_eq!([499, 500, 1_499, 1_500].map(pico), [0, 1, 1, 2]);
        let split = Usage { cache_read: Some(250), ..usage(500, 0) };
        assert_eq!(cost(&prices, &split, &[]).unwrap().input.unwrap().as_pico(), 1, "not once per part");
    }

    #[test]
    fn more_than_money_holds_is_no_cost() {
        let dearest = prices(&[(Class::Input, "1000000"), (Class::Output, "1000000")]);
        assert_eq!(cost(&dearest, &usage(i64::MAX, i64::MAX), &[]), None);
        let near = cost(&dearest, &usage(600_000, 600_000), &[]).unwrap();
        assert_eq!((near.input.is_some(), near.total), (true, None), "each side fits, the sum does not");
    }
}
