"""Each block of the network: shape, gradient, degenerate inputs, and the property that defines it."""

import math

import pytest
import torch
import torch.nn.functional as F

from ncpifu_cli.geometry.sample import inside_image, sample_image
from ncpifu_cli.models.blocks.attention import GlobalAttention, PositionalEncoding
from ncpifu_cli.models.blocks.classifier import SurfaceClassifier
from ncpifu_cli.models.blocks.codebook import Codebook, NoCodebook, perplexity
from ncpifu_cli.models.blocks.depth_head import DepthHead, FineDepthHead
from ncpifu_cli.models.blocks.fusion import Branch, CodeFusion, MLPFusion, SumFusion
from ncpifu_cli.models.blocks.gate import Gate, OpenGate
from ncpifu_cli.models.blocks.groups import morton_code, strided_groups
from ncpifu_cli.models.blocks.hourglass import StackedHourglass, group_norm
from ncpifu_cli.models.blocks.lattice import Lattice
from ncpifu_cli.models.blocks.mixer import ChannelMixing, LocationMixing
from ncpifu_cli.models.blocks.unet import UNet
from ncpifu_cli.models.blocks.variance import NoVariance, VarianceModelling


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def book(size: int = 8, channels: int = 6, select: int = 2) -> Codebook:
    return Codebook(size, channels, select, temperature=0.5, norm=4.0)


OPEN = torch.ones(2, 8)


class TestGroupNorm:
    def test_keeps_the_type_and_agrees_with_float32(self) -> None:
        norm = group_norm(32)
        torch.nn.init.normal_(norm.weight)
        torch.nn.init.normal_(norm.bias)
        x = torch.randn(2, 32, 8, 8) * 3 + 1
        plain = torch.nn.functional.group_norm(x, norm.num_groups, norm.weight, norm.bias)
        assert torch.equal(norm(x), plain)
        with torch.autocast("cpu", torch.bfloat16):
            half = norm(x.bfloat16())
        assert half.dtype == torch.bfloat16
        assert torch.allclose(half.float(), plain, atol=0.05, rtol=0.02)
        assert set(norm.state_dict()) == {"weight", "bias"}


class TestHourglass:
    def test_shapes(self) -> None:
        maps, stem = StackedHourglass(8, 16, stacks=3, depth=2)(torch.randn(2, 3, 64, 64))
        assert [tuple(m.shape) for m in maps] == [(2, 16, 16, 16)] * 3
        assert tuple(stem.shape) == (2, 8, 32, 32)

    def test_blank_image_is_finite_and_every_weight_learns(self) -> None:
        encoder = StackedHourglass(8, 16, stacks=2, depth=1)
        maps, stem = encoder(torch.zeros(1, 3, 32, 32))
        (sum(m.square().sum() for m in maps) + stem.sum()).backward()
        assert all(torch.isfinite(m).all() for m in maps)
        assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in encoder.parameters())

    def test_sees_far(self) -> None:
        """A pixel in one corner reaches the feature in the other: the hourglass is global."""
        encoder = StackedHourglass(8, 16, stacks=2, depth=4)
        image = torch.randn(1, 3, 128, 128, requires_grad=True)
        encoder(image)[0][-1][0, :, -1, -1].sum().backward()
        assert image.grad is not None
        assert image.grad[0, :, :8, :8].abs().sum() > 0


class TestDepthHeads:
    def test_fine_head_starts_as_the_linear_one_enlarged(self) -> None:
        """So the weights of a network with a `DepthHead` go on as they are."""
        plain, fine = DepthHead(16), FineDepthHead(16, 8)
        fine.load_state_dict(plain.state_dict(), strict=False)
        maps, stem = [torch.randn(2, 16, 8, 8) for _ in range(3)], torch.randn(2, 8, 16, 16)
        assert plain(maps, stem).shape == (3, 2, 2, 8, 8)
        enlarged = torch.stack([F.interpolate(depth, scale_factor=2.0, mode="bilinear") for depth in plain(maps, stem)])
        assert torch.allclose(fine(maps, stem), enlarged, atol=1e-5)

    def test_fine_head_learns_an_edge_that_only_the_stem_shows(self) -> None:
        head = FineDepthHead(16, 8)
        maps, stem = [torch.zeros(1, 16, 8, 8)], torch.zeros(1, 8, 16, 16)
        stem[..., 5:] = 1.0  # an edge inside a pixel of the feature map
        target = torch.where(stem[:, :1] > 0, 1.0, -1.0).expand(1, 2, 16, 16)
        optimizer = torch.optim.Adam(head.parameters(), 0.02)
        for _ in range(150):
            loss = F.mse_loss(head(maps, stem)[0], target)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        assert loss.item() < 0.02


class TestUNet:
    def test_keeps_the_hourglass_contract(self) -> None:
        maps, stem = UNet(8, 16)(torch.randn(2, 3, 64, 64))
        assert [tuple(m.shape) for m in maps] == [(2, 16, 16, 16)]
        assert tuple(stem.shape) == (2, 8, 32, 32)

    def test_blank_image_is_finite_and_every_weight_learns(self) -> None:
        encoder = UNet(8, 16)
        maps, _ = encoder(torch.zeros(1, 3, 64, 64))
        maps[0].square().sum().backward()
        assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in encoder.parameters())

    def test_further_rounds_start_as_the_identity(self) -> None:
        plain, deeper = UNet(8, 16), UNet(8, 16, rounds=2)
        fresh = deeper.load_state_dict(plain.state_dict(), strict=False).missing_keys
        assert fresh
        assert all(name.startswith("further.") for name in fresh)
        image = torch.randn(1, 3, 64, 64)
        assert torch.equal(plain(image)[0][0], deeper(image)[0][0])

    def test_further_rounds_learn(self) -> None:
        encoder = UNet(8, 16, rounds=1)
        optimizer = torch.optim.SGD(encoder.parameters(), lr=0.1)
        before = {name: value.clone() for name, value in encoder.further.named_parameters()}
        for _ in range(2):  # the first step wakes the last layers, the second those before them
            optimizer.zero_grad()
            encoder(torch.randn(1, 3, 64, 64))[0][0].square().mean().backward()
            optimizer.step()
        assert not [name for name, value in encoder.further.named_parameters() if torch.equal(value, before[name])]


class TestSampling:
    def test_pixel_centres(self) -> None:
        """Feature (row i, column j) of an S-pixel map lies at NDC ((2j+1)/S - 1, 1 - (2i+1)/S)."""
        features = torch.randn(1, 2, 4, 4)
        for row, column in ((0, 0), (1, 3), (3, 2)):
            point = torch.tensor([[[(2 * column + 1) / 4 - 1, 1 - (2 * row + 1) / 4, 0.3]]])
            assert torch.allclose(sample_image(features, point)[0, 0], features[0, :, row, column], atol=1e-6)

    def test_against_slow_bilinear(self) -> None:
        features = torch.randn(1, 1, 5, 5)
        points = torch.rand(1, 50, 3) * 1.5 - 0.75
        found = sample_image(features, points)[0, :, 0]
        for value, (x, y, _) in zip(found, points[0], strict=True):
            u, v = float(x + 1) * 2.5 - 0.5, float(1 - y) * 2.5 - 0.5
            i, j = math.floor(v), math.floor(u)
            a, b = v - i, u - j
            f = features[0, 0]
            slow = (1 - a) * ((1 - b) * f[i, j] + b * f[i, j + 1]) + a * ((1 - b) * f[i + 1, j] + b * f[i + 1, j + 1])
            assert abs(float(value) - float(slow)) < 1e-5

    def test_inside_image(self) -> None:
        points = torch.tensor([[[0.0, 0.0, 5.0], [1.01, 0, 0], [0, -1.01, 0], [1.0, 1.0, 0]]])
        assert inside_image(points).tolist() == [[True, False, False, True]]


class TestCodebook:
    def test_eq5_by_hand(self) -> None:
        """Forward with n = K and an open gate is the softmax relaxation of nearest neighbour itself."""
        codebook = book(select=8)
        x = torch.randn(2, 5, 6)
        z, _ = codebook(x, OPEN)
        distance = torch.cdist(codebook.normalised(x), codebook.normalised_codes().expand(2, -1, -1))
        expected = torch.softmax(-distance / 0.5, dim=-1) @ codebook.normalised_codes()
        assert torch.allclose(z, expected, atol=1e-4)

    def test_n_1_is_the_nearest_code(self) -> None:
        codebook = book(select=1)
        x = torch.randn(2, 50, 6)
        z, report = codebook(x, OPEN)
        nearest = torch.cdist(codebook.normalised(x), codebook.normalised_codes().expand(2, -1, -1)).argmin(-1)
        assert torch.allclose(z, codebook.normalised_codes()[nearest], atol=1e-4)
        assert torch.allclose(report.usage, torch.bincount(nearest.flatten(), minlength=8) / 100)

    def test_straight_through(self) -> None:
        """The gradient is the soft selection's, though the value is the hard one's."""
        codebook = book(select=1)
        x = torch.randn(2, 5, 6)
        hard_input, soft_input = x.clone().requires_grad_(), x.clone().requires_grad_()
        codebook(hard_input, OPEN)[0].sum().backward()
        soft = book(select=8)
        soft.load_state_dict(codebook.state_dict())
        soft(soft_input, OPEN)[0].sum().backward()
        assert hard_input.grad is not None and soft_input.grad is not None
        assert hard_input.grad.abs().sum() > 0
        assert torch.allclose(hard_input.grad, soft_input.grad, atol=1e-4)

    def test_feature_scale_does_not_decide(self) -> None:
        codebook, x = book(), torch.randn(2, 5, 6)
        assert torch.allclose(codebook(x, OPEN)[0], codebook(1000 * x, OPEN)[0], atol=1e-3)

    def test_closed_codes_are_never_selected(self) -> None:
        codebook = book()
        gate = torch.zeros(2, 8)
        gate[:, :3] = 1
        _, report = codebook(torch.randn(2, 200, 6), gate)
        assert report.usage[3:].sum() == 0
        assert report.openness == pytest.approx(3 / 8)

    @pytest.mark.parametrize("x", [torch.zeros(2, 4, 6), torch.full((2, 4, 6), 1e6), torch.full((2, 4, 6), 1e-12)])
    @pytest.mark.parametrize("gate", [torch.ones(2, 8), torch.zeros(2, 8)])
    def test_degenerate(self, x: torch.Tensor, gate: torch.Tensor) -> None:
        codebook, x = book(), x.clone().requires_grad_()
        z, report = codebook(x, gate)
        (z.square().sum() + report.balance).backward()
        assert torch.isfinite(z).all()
        assert x.grad is not None and torch.isfinite(x.grad).all()
        assert codebook.codes.grad is not None and torch.isfinite(codebook.codes.grad).all()
        if gate.sum() == 0:
            assert z.abs().max() == 0

    def test_input_equal_to_a_code(self) -> None:
        codebook = book()
        x = codebook.normalised_codes().detach()[None].expand(2, -1, -1).clone().requires_grad_()
        z, _ = codebook(x, OPEN)
        z.sum().backward()
        assert x.grad is not None and torch.isfinite(x.grad).all()

    def test_balance_is_zero_for_uniform_use(self) -> None:
        codebook = Codebook(4, 4, 1, temperature=0.5, norm=4.0)
        with torch.no_grad():
            codebook.codes.copy_(torch.tensor([[1.0, -1, 0, 0], [-1, 1, 0, 0], [0, 0, 1, -1], [0, 0, -1, 1]]))
        even = codebook.codes.detach()[None]
        assert codebook(even, torch.ones(1, 4))[1].balance < 1e-5
        assert codebook(even[:, :1], torch.ones(1, 4))[1].balance > 0.5

    def test_perplexity(self) -> None:
        assert perplexity(torch.full((8,), 1 / 8)).item() == pytest.approx(8, rel=1e-4)
        assert perplexity(F.one_hot(torch.tensor(3), 8).float()).item() == pytest.approx(1, rel=1e-4)

    def test_revival_puts_dead_codes_to_use(self) -> None:
        codebook = book(size=8, select=1)
        centre = torch.tensor([1.0, -1, 1, -1, 1, -1])
        with torch.no_grad():  # one code where the data is, the others opposite
            codebook.codes.copy_(-centre + 0.01 * torch.randn(8, 6))
            codebook.codes[0] = centre
        x = centre + 0.5 * torch.randn(2, 100, 6)
        _, before = codebook(x, OPEN)
        dead = before.usage < 0.1 / 8
        assert codebook.revive(dead, before.samples) == int(dead.sum())
        _, after = codebook(x, OPEN)
        assert perplexity(before.usage) < 1.1
        assert perplexity(after.usage) > 4
        assert codebook.revive(torch.zeros(8, dtype=torch.bool), before.samples) == 0


class TestGate:
    def test_eq6_by_hand(self) -> None:
        gate = Gate(10, 4, threshold=0.4, gate_lambda=0.5)
        with torch.no_grad():
            gate.score.bias.fill_(0.3)
        expected = [float(1 / (1 + math.exp(-(0.3 - i * i / 50))) > 0.4) for i in range(10)]
        assert gate(torch.randn(1, 4))[0].round().tolist() == expected
        assert 0 < sum(expected) < 10

    def test_low_codes_open_first_and_the_score_pays_for_the_rest(self) -> None:
        gate = Gate(16, 3, 0.5, 0.25)
        opened = []
        for score in (-1.0, 0.5, 2.0, 5.0):
            with torch.no_grad():
                gate.score.bias.fill_(score)
            decision = gate(torch.zeros(1, 3))[0].round()
            assert decision.tolist() == sorted(decision.tolist(), reverse=True)
            opened.append(int(decision.sum()))
        assert opened == sorted(opened)
        assert opened[0] == 0 and opened[-1] == 16

    def test_straight_through(self) -> None:
        gate = Gate(8, 3, 0.5, 0.25)
        average = torch.randn(2, 3)
        decision = gate(average)
        assert set(decision.detach().round(decimals=5).flatten().tolist()) <= {0.0, 1.0}
        decision.sum().backward()
        soft = torch.sigmoid(gate.score(average) - gate.price)
        assert gate.score.bias.grad is not None
        assert gate.score.bias.grad.item() == pytest.approx(float((soft * (1 - soft)).sum()), rel=1e-4)

    def test_open_gate(self) -> None:
        assert OpenGate(5)(torch.randn(3, 4)).tolist() == [[1.0] * 5] * 3


class TestVariance:
    def test_moves_by_epsilon(self) -> None:
        variance = VarianceModelling(6, 9, epsilon=0.3)
        z, x = torch.randn(2, 50, 6), torch.randn(2, 50, 9)
        assert torch.allclose((variance(z, x) - z).norm(dim=-1), torch.full((2, 50), 0.3), atol=1e-4)

    def test_zero_direction(self) -> None:
        variance = VarianceModelling(6, 9, epsilon=0.3)
        with torch.no_grad():
            for parameter in variance.parameters():
                parameter.zero_()
        z, x = torch.randn(1, 4, 6, requires_grad=True), torch.randn(1, 4, 9)
        out = variance(z, x)
        out.sum().backward()
        assert torch.equal(out, z)
        assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in variance.parameters())

    def test_identity(self) -> None:
        z = torch.randn(1, 2, 3)
        assert NoVariance()(z, z) is z


class TestFusion:
    def test_four_layers(self) -> None:
        fusion = MLPFusion(15, 10)
        assert fusion(torch.randn(2, 5, 9), torch.randn(2, 5, 6)).shape == (2, 5, 10)
        assert sum(isinstance(m, torch.nn.Linear) for m in fusion.modules()) == 4

    def test_sum_and_codes(self) -> None:
        x, z = torch.randn(2, 5, 6), torch.randn(2, 5, 6)
        assert torch.equal(SumFusion()(x, z), x + z)
        assert torch.equal(SumFusion()(x, z[..., :0]), x)
        assert torch.equal(CodeFusion()(x, z), z)

    def test_branch_without_codebook_ignores_the_gate(self) -> None:
        branch = Branch(NoCodebook(), NoVariance(), MLPFusion(6, 4))
        x = torch.randn(2, 5, 6)
        f, report = branch(x, OPEN)
        assert report is None
        assert torch.equal(f, branch(x, OPEN * 0)[0])


class TestAttention:
    def test_eq4_by_hand_with_one_head(self) -> None:
        attention = GlobalAttention(6, 8, heads=1)
        x, places = torch.randn(1, 5, 6), torch.rand(1, 5, 3)
        out = attention(x, places, attention.keys_values(x, places))
        position, normed = attention.position(places), attention.norm(x)
        query = attention.query(normed) + position
        keys, values = (part + position for part in attention.key_value(normed).chunk(2, -1))
        weight = torch.softmax(query @ keys.transpose(1, 2) / math.sqrt(8), dim=-1)
        assert torch.allclose(out, x + attention.output(weight @ values), atol=1e-5)

    def test_order_of_tokens_does_not_matter_but_place_does(self) -> None:
        attention = GlobalAttention(6, 8, heads=2)
        x, places = torch.randn(1, 7, 6), torch.rand(1, 7, 3)
        query, at = torch.randn(1, 3, 6), torch.rand(1, 3, 3)
        out = attention(query, at, attention.keys_values(x, places))
        order = torch.randperm(7)
        assert torch.allclose(out, attention(query, at, attention.keys_values(x[:, order], places[:, order])), atol=1e-5)
        assert not torch.allclose(out, attention(query, at, attention.keys_values(x, places[:, order])), atol=1e-3)

    def test_encoding_separates_places(self) -> None:
        encoding = PositionalEncoding(32)
        grid = torch.stack(torch.meshgrid(*[torch.linspace(-0.9, 0.9, 7)] * 3, indexing="ij"), -1).reshape(1, -1, 3)
        code = encoding(grid)[0]
        distance = torch.cdist(code, code) + torch.eye(len(code)) * 9
        assert distance.min() > 1e-2


class TestMixer:
    def test_channel_mixing_is_within_tokens(self) -> None:
        mixing = ChannelMixing(6, 2.0)
        x = torch.randn(1, 4, 6)
        y = x.clone()
        y[0, 2] += 1
        changed = (mixing(x) - mixing(y)).abs().sum(-1)[0] > 1e-6
        assert changed.tolist() == [False, False, True, False]

    def test_location_mixing_is_across_tokens(self) -> None:
        mixing = LocationMixing(4, 6)
        x = torch.randn(1, 4, 6)
        y = x.clone()
        y[0, 2] = torch.randn(6)
        assert ((mixing(x) - mixing(y)).abs().sum(-1)[0] > 1e-6).all()

    def test_residual(self) -> None:
        for mixing, x in ((ChannelMixing(6, 1.0), torch.randn(1, 4, 6)), (LocationMixing(4, 6), torch.randn(1, 4, 6))):
            torch.nn.init.zeros_(mixing.leave.weight)
            torch.nn.init.zeros_(mixing.leave.bias)
            assert torch.equal(mixing(x), x)


class TestLattice:
    def test_tokens_come_back_at_their_places(self) -> None:
        lattice = Lattice((3, 4, 2), (0.7, 0.9, 0.5))
        tokens = torch.randn(2, 24, 5)
        assert torch.allclose(lattice.at(tokens, lattice.points(2)), tokens, atol=1e-5)

    def test_halfway_is_the_mean(self) -> None:
        lattice = Lattice((3, 4, 2), (0.7, 0.9, 0.5))
        tokens = torch.randn(1, 24, 5)
        between = (lattice.places_ndc[0] + lattice.places_ndc[1]) / 2
        assert torch.allclose(lattice.at(tokens, between[None, None])[0, 0], (tokens[0, 0] + tokens[0, 1]) / 2, atol=1e-5)


class TestClassifier:
    def test_input_reaches_every_layer(self) -> None:
        classifier = SurfaceClassifier(6, (8, 4))
        assert [layer.in_features for layer in classifier.layers] == [6, 14, 10]
        assert classifier(torch.randn(2, 5, 6)).shape == (2, 5)


class TestGroups:
    def test_every_point_is_in_a_group(self) -> None:
        index = strided_groups(torch.rand(2, 70, 3) * 2 - 1, 32)
        assert index.shape == (2, 3, 32)
        assert all(set(row.flatten().tolist()) == set(range(70)) for row in index)

    def test_groups_span_the_body(self) -> None:
        points = torch.rand(1, 1024, 3) * 2 - 1
        index = strided_groups(points, 128)[0]
        spread = torch.stack([points[0, group].std(0) for group in index])
        assert (spread > 0.4).all()

    def test_morton_keeps_neighbours_close(self) -> None:
        assert morton_code(torch.tensor([-1.0, -1, -1])) == 0
        assert morton_code(torch.tensor([1.0, 1, 1])) == 2**30 - 1
        a, b, far = (morton_code(torch.tensor(p)) for p in ([0.1, 0.1, 0.1], [0.102, 0.1, 0.1], [-0.9, 0.8, -0.7]))
        assert abs(a - b) < abs(a - far)
