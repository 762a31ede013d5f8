import type { Configuration } from '../../retinaface/config.js';
import {
  PUBLISHED_CASCADE_LOSS,
  PUBLISHED_LOSS,
  PUBLISHED_NEGATIVES_CASCADE_LOSS,
  PUBLISHED_NEGATIVES_LOSS,
  REPORT_CASCADE_LOSS,
  REPORT_LOSS,
  REPORT_STRICT_CASCADE_LOSS,
  REPORT_STRICT_LOSS,
} from '../../retinaface/loss.js';
import { defaultLoss, type TrainerOptions } from '../../train/trainer.js';

type Losses = Pick<TrainerOptions, 'loss' | 'cascadeLoss'>;

/** Of class, box and landmark loss in the original RetinaFace (Deng et al. 2020, §3.2). */
const PAPER_WEIGHTS = { class: 1, box: 0.25, landmarks: 0.1 };

/** Losses of the first or only heads, and of the cascade's, by the name that --loss takes. */
export const LOSSES: Readonly<Record<string, Losses>> = {
  report: { loss: REPORT_LOSS, cascadeLoss: REPORT_CASCADE_LOSS },
  'report-strict': { loss: REPORT_STRICT_LOSS, cascadeLoss: REPORT_STRICT_CASCADE_LOSS },
  paper: {
    loss: { ...REPORT_LOSS, lambda: PAPER_WEIGHTS },
    cascadeLoss: { ...REPORT_CASCADE_LOSS, lambda: PAPER_WEIGHTS },
  },
  published: { loss: PUBLISHED_LOSS, cascadeLoss: PUBLISHED_CASCADE_LOSS },
  'published-negatives': { loss: PUBLISHED_NEGATIVES_LOSS, cascadeLoss: PUBLISHED_NEGATIVES_CASCADE_LOSS },
};

/**
 * The losses of a name, or those of the network's family: the published one only where every picture has a face, for it learns nothing
 * of those without. Answers, where it was chosen for that reason, its name as well.
 */
export function lossesOf(
  name: string | undefined,
  {
    configuration,
    faceless,
    ignoreBelow = 0,
  }: {
    readonly configuration: Configuration;
    /** Whether some pictures have no face. */
    readonly faceless: boolean;
    /** As in the options of matching. */
    readonly ignoreBelow?: number | undefined;
  },
): { readonly losses: Required<Losses>; readonly chosen?: string } {
  const own = defaultLoss(configuration);
  const chosen = name === undefined && faceless && own === PUBLISHED_LOSS ? 'published-negatives' : undefined;
  const { loss = own, cascadeLoss = REPORT_CASCADE_LOSS } = LOSSES[name ?? chosen ?? ''] ?? {};
  const losses = { loss: { ...loss, ignoreBelow }, cascadeLoss: { ...cascadeLoss, ignoreBelow } };
  return chosen === undefined ? { losses } : { losses, chosen };
}
