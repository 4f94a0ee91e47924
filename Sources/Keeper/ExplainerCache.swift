// The explainer of one generation: it follows the rules for the whole host, which is worth doing once.

import EventLoop
import Grouping
import Registry

/// Keeps the explainer of the snapshot that was asked for last.
@LoopActor
public final class ExplainerCache {
    private var kept: (generation: Int, explainer: Explainer)?

    /// The explainer of a snapshot.
    public func explainer(of snapshot: Snapshot) -> Explainer {
        if let kept, kept.generation == snapshot.generation { return kept.explainer }
        let explainer = Explainer(snapshot.inventory)
        kept = (snapshot.generation, explainer)
        return explainer
    }
}
