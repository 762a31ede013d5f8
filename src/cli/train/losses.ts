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
 * The loss of a name, or that of the network's family: the published one only where every picture has a face, for it learns nothing
 * of those without. Answers the options of the trainer and, where it was chosen, its name.
 */
export function lossesOf(
  name: string | undefined,
  { configuration, faceless }: { readonly configuration: Configuration; readonly faceless: boolean },
): { readonly losses: Losses; readonly chosen?: string } {
  if (name === undefined) {
    if (!faceless || defaultLoss(configuration) !== PUBLISHED_LOSS) return { losses: {} };
    return { losses: LOSSES['published-negatives']!, chosen: 'published-negatives' };
  }
  return { losses: LOSSES[name] ?? {} };
}
