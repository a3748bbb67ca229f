//! The distance between two places on the earth, as a shared library.

millstream_plugin::kernels! {
    fn haversine_km(lat1: f64, lon1: f64, lat2: f64, lon2: f64) -> f64 {
        let (lat, lon) = ((lat2 - lat1).to_radians() / 2.0, (lon2 - lon1).to_radians() / 2.0);
        let a = lat.sin().powi(2) + lat1.to_radians().cos() * lat2.to_radians().cos() * lon.sin().powi(2);
        12_742.0 * a.sqrt().asin()
    }
}
