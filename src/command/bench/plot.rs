//! Plots as SVG: bars of several engines side by side, and lines.

use std::fmt::Write;

use super::report::escape;

/// Bars in groups, a bar per engine and group.
pub struct Bars {
    pub engines: Vec<String>,
    pub groups: Vec<Group>,
}

/// The bars of one query.
pub struct Group {
    pub name: String,
    /// One per engine; `None` where it has no result.
    pub values: Vec<Option<f64>>,
}

const COLORS: [&str; 6] = ["#0b6e99", "#e4a11b", "#7d8a97", "#b5533c", "#5a8f5a", "#7b5ea7"];
const WIDTH: f64 = 960.0;
const LABEL: f64 = 60.0;
const BAR: f64 = 11.0;

/// Horizontal bars; each group is drawn to its own fastest engine, so that slow queries can be read as well.
pub fn bars(bars: &Bars) -> String {
    let group_height = bars.engines.len() as f64 * BAR + 8.0;
    let height = 26.0 + bars.groups.len() as f64 * group_height;
    let mut svg = format!("<svg viewBox=\"0 0 {WIDTH} {height}\" role=\"img\">\n");
    let mut x = LABEL;
    for (engine, color) in bars.engines.iter().zip(COLORS.iter().cycle()) {
        let _ = writeln!(
            svg,
            "<rect x=\"{x}\" y=\"4\" width=\"10\" height=\"10\" fill=\"{color}\"/><text x=\"{}\" y=\"13\" font-size=\"12\">{}</text>",
            x + 14.0,
            escape(engine)
        );
        x += 34.0 + engine.len() as f64 * 7.0;
    }
    for (row, group) in bars.groups.iter().enumerate() {
        let top = 26.0 + row as f64 * group_height;
        let best = group.values.iter().flatten().fold(f64::MIN_POSITIVE, |a, b| a.max(*b));
        let middle = top + group_height / 2.0;
        let _ = writeln!(svg, "<text x=\"0\" y=\"{middle}\" font-size=\"12\">{}</text>", escape(&group.name));
        for (index, (value, color)) in group.values.iter().zip(COLORS.iter().cycle()).enumerate() {
            let y = top + index as f64 * BAR;
            let Some(value) = value else { continue };
            let width = (value / best * (WIDTH - LABEL - 90.0)).max(1.0);
            let _ = writeln!(
                svg,
                "<rect x=\"{LABEL}\" y=\"{y}\" width=\"{width:.1}\" height=\"{}\" fill=\"{color}\"/>\
                 <text x=\"{:.1}\" y=\"{:.1}\" font-size=\"10\" fill=\"#5b6b7a\">{}</text>",
                BAR - 1.5,
                LABEL + width + 4.0,
                y + BAR - 3.0,
                seconds(1.0 / value)
            );
        }
    }
    svg + "</svg>"
}

fn seconds(seconds: f64) -> String {
    if seconds < 0.1 { format!("{:.1} ms", seconds * 1e3) } else { format!("{seconds:.2} s") }
}

/// A line with a name: points to the right and upwards.
type Line = (String, Vec<(f64, f64)>);

/// An axis: where a value lies on it, from 0 to 1, and the values it shows.
struct Axis {
    name: &'static str,
    place: Box<dyn Fn(f64) -> f64>,
    ticks: Vec<(f64, String)>,
}

impl Axis {
    /// From 0 on, up to the last of these values, which it shows.
    fn at(name: &'static str, values: &[usize]) -> Axis {
        let most = values.iter().copied().max().unwrap_or(1).max(1) as f64;
        let ticks = values.iter().map(|value| (*value as f64, value.to_string()));
        Axis { name, place: Box::new(move |value| value / most), ticks: ticks.collect() }
    }

    /// From 0 on, in whole numbers.
    fn whole(name: &'static str, most: f64) -> Axis {
        let ticks = (1..=(most as usize).min(16)).map(|tick| (tick as f64, tick.to_string()));
        Axis { name, place: Box::new(move |value| value / most), ticks: ticks.collect() }
    }

    /// By powers of ten, those that hold all from `least` to `most`.
    fn powers(name: &'static str, least: f64, most: f64) -> Axis {
        let first = least.log10().floor();
        let last = most.log10().ceil().max(first + 1.0);
        let ticks = (first as i32..=last as i32).map(|power| (10f64.powi(power), power_text(power)));
        let place = move |value: f64| ((value.log10() - first) / (last - first)).clamp(0.0, 1.0);
        Axis { name, place: Box::new(place), ticks: ticks.collect() }
    }

    /// Shares from none to all.
    fn shares(name: &'static str) -> Axis {
        let ticks = [0.0, 0.25, 0.5, 0.75, 1.0].map(|share| (share, format!("{}%", share * 100.0)));
        Axis { name, place: Box::new(|value| value), ticks: ticks.to_vec() }
    }
}

fn power_text(power: i32) -> String {
    if power >= 0 {
        format!("{:.0}", 10f64.powi(power))
    } else {
        format!("{:.*}", power.unsigned_abs() as usize, 10f64.powi(power))
    }
}

/// A line per query: the counts of threads that were measured to the right, speed upwards, and the line of perfect scaling
/// behind.
pub fn scaling(lines: &[Line], counts: &[usize]) -> String {
    let (first, last) = (counts.first().copied().unwrap_or(1) as f64, counts.last().copied().unwrap_or(1) as f64);
    let perfect = last / first;
    let most = lines.iter().flat_map(|(_, points)| points).fold(perfect, |most, (_, y)| most.max(*y));
    let guide = [(0.0, 0.0), (last, perfect)];
    lines_plot(lines, &Axis::at("threads", counts), &Axis::whole(times_as_fast(first), most), Some(guide))
}

/// What the speed is measured by.
fn times_as_fast(first: f64) -> &'static str {
    if first == 1.0 { "times as fast as one" } else { "times as fast as the fewest threads" }
}

/// A line per load: milliseconds to the right, by powers of ten, the share of events upwards.
pub fn distribution(lines: &[Line]) -> String {
    let times = || lines.iter().flat_map(|(_, points)| points).map(|(x, _)| *x).filter(|x| *x > 0.0);
    let least = times().fold(1.0, f64::min).max(1e-3);
    lines_plot(lines, &Axis::powers("milliseconds", least, times().fold(1.0, f64::max)), &Axis::shares("events"), None)
}

const LEFT: f64 = 60.0;
const PLOT_WIDTH: f64 = 860.0;
const PLOT_HEIGHT: f64 = 280.0;
/// Room for the name of a line.
const NAME_WIDTH: f64 = 150.0;

/// Lines over two axes, their names above. `guide`: a straight line behind them.
fn lines_plot(lines: &[Line], x_axis: &Axis, y_axis: &Axis, guide: Option<[(f64, f64); 2]>) -> String {
    let per_row = (PLOT_WIDTH / NAME_WIDTH) as usize;
    let top = 24.0 + lines.len().div_ceil(per_row) as f64 * 18.0;
    let (bottom, right) = (top + PLOT_HEIGHT, LEFT + PLOT_WIDTH);
    let x_of = |x: f64| LEFT + (x_axis.place)(x) * PLOT_WIDTH;
    let y_of = |y: f64| bottom - (y_axis.place)(y) * PLOT_HEIGHT;
    let mut svg = format!("<svg viewBox=\"0 0 {WIDTH} {}\" role=\"img\">\n", bottom + 40.0);
    for (tick, text) in &x_axis.ticks {
        let x = x_of(*tick);
        let _ = writeln!(
            svg,
            "<path d=\"M{x:.1} {top} V{bottom}\" stroke=\"#e3e9ee\"/>\
             <text x=\"{x:.1}\" y=\"{}\" font-size=\"11\" text-anchor=\"middle\">{text}</text>",
            bottom + 16.0
        );
    }
    for (tick, text) in &y_axis.ticks {
        let y = y_of(*tick);
        let _ = writeln!(
            svg,
            "<path d=\"M{LEFT} {y:.1} H{right}\" stroke=\"#e3e9ee\"/>\
             <text x=\"{}\" y=\"{:.1}\" font-size=\"11\" text-anchor=\"end\">{text}</text>",
            LEFT - 6.0,
            y + 4.0
        );
    }
    let _ = writeln!(
        svg,
        "<path d=\"M{LEFT} {top} V{bottom} H{right}\" fill=\"none\" stroke=\"#b8c4ce\"/>\
         <text x=\"{right}\" y=\"{}\" font-size=\"12\" text-anchor=\"end\">{}</text>\
         <text x=\"0\" y=\"{}\" font-size=\"12\">{}</text>",
        bottom + 34.0,
        x_axis.name,
        top - 10.0,
        y_axis.name
    );
    if let Some([from, to]) = guide.map(|ends| ends.map(|(x, y)| (x_of(x), y_of(y)))) {
        let path = format!("M{:.1} {:.1} L{:.1} {:.1}", from.0, from.1, to.0, to.1);
        let _ = writeln!(svg, "<path d=\"{path}\" stroke=\"#b8c4ce\" stroke-dasharray=\"4 4\"/>");
    }
    for (index, (name, points)) in lines.iter().enumerate() {
        let color = COLORS[index % COLORS.len()];
        // Behind the last color they begin anew, with dashes.
        let dashes = if index < COLORS.len() { "" } else { " stroke-dasharray=\"6 3\"" };
        let path: Vec<String> = points.iter().map(|&(x, y)| format!("{:.1},{:.1}", x_of(x), y_of(y))).collect();
        let (x, y) = (LEFT + (index % per_row) as f64 * NAME_WIDTH, 12.0 + (index / per_row) as f64 * 18.0);
        let _ = writeln!(
            svg,
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{color}\" stroke-width=\"1.5\"{dashes}/>\
             <path d=\"M{x} {} h18\" stroke=\"{color}\" stroke-width=\"2\"{dashes}/>\
             <text x=\"{}\" y=\"{y}\" font-size=\"12\">{}</text>",
            path.join(" "),
            y - 4.0,
            x + 24.0,
            escape(name)
        );
    }
    svg + "</svg>"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_stand_where_they_were_measured() {
        let lines = vec![("q0".to_string(), vec![(1.0, 1.0), (2.0, 5.5), (8.0, 3.0)])];
        let svg = scaling(&lines, &[1, 2, 8]);
        let shown = |x: f64, text: &str| {
            svg.contains(&format!("<text x=\"{x:.1}\"")) && svg.contains(&format!(">{text}</text>"))
        };
        for (count, text) in [(1.0, "1"), (2.0, "2"), (8.0, "8")] {
            assert!(shown(LEFT + count / 8.0 * PLOT_WIDTH, text), "{text}: {svg}");
        }
        let between = format!("<text x=\"{:.1}\"", LEFT + 3.0 / 8.0 * PLOT_WIDTH);
        assert!(!svg.contains(&between), "{svg}");
    }
}
